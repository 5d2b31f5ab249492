// The session's display shown to who asks for it, over the connection of the call (vnc_connect).
#pragma once

#include "vma/http_server.hpp"
#include "vma/process.hpp"
#include "vma/session.hpp"

namespace qvd::vma {

// `upgrade`: what the caller wants the connection to become. The answer is 101 and after it RFB, by
// command.x11vnc as the session's user; 426 unless VNC is wanted, 503 while there is no session to
// show, or nothing to show it with. All must outlive the connection's hand-over.
Task<HttpAnswer> show_display(Processes& processes, const Settings& settings,
                              const Session& session, std::string upgrade);

}  // namespace qvd::vma
