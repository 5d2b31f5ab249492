// The command that starts a session: xinit, the session script, nxagent, and their environment.
#pragma once

#include "agent/protocol.hpp"
#include "vma/account.hpp"

namespace qvd::vma {

// xinit SCRIPT -- nxagent :D ..., as the account, with output to `output_file`.
Command session_command(const Account& account, const agent::Parameters& session,
                        const Settings& settings, std::string output_file);

// NAME=value lines of /etc/locale.conf, /etc/default/locale and /etc/environment: comments and
// blanks skipped, "export " and quotes taken off, anything else ignored.
std::map<std::string, std::string> parse_environment_file(std::string_view text);

// Makes the place of X sockets if it is missing, and removes lock and socket of a display whose
// server is gone, which a power cut leaves behind. Errors: vma.display, if a server is running
// there.
Result<void> clear_display(int display);

}  // namespace qvd::vma
