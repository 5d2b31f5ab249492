// path.run/supervisor.sock: how `qvd-node reload|stop|status` speak to the running supervisor. Root
// only. One packet asks, one packet answers: "ok" or "error", a line end, and the text to show.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <string>
#include <string_view>

namespace qvd::supervisor {

// The listening end; an old socket file is replaced. Lock the pid file first.
Result<UniqueFd> open_command_socket(const std::string& path);

struct CommandRequest {
    UniqueFd client;
    std::string text;
};
// The next request, of a client that is root or this process's own user. Waits a moment for a
// client that has connected but not yet written. unavailable "command.none" if there is none.
Result<CommandRequest> accept_command(int socket);

void answer(const UniqueFd& client, bool good, std::string_view text);

// The other side: asks, and waits for the answer. Errors: node.not_running; node.refused with the
// supervisor's sentence; timeout.
Result<std::string> ask_supervisor(const std::string& path, std::string_view request,
                                   Milliseconds patience);

}  // namespace qvd::supervisor
