// The way back to an l7r worker whose supervisor was killed: a listening socket in a folder that
// only root can enter, made by the supervisor that started the worker and held by the worker alone.
// The next supervisor connects to it; the worker can do nothing with it but accept.
#pragma once

#include "supervisor/crew.hpp"

#include <string>
#include <vector>

namespace qvd::supervisor {

// The worker's end, at `folder`/INSTANCE; makes the folder. Errors: lifeline.*, command.path.
Result<UniqueFd> open_lifeline(const std::string& folder, const std::string& instance);
void remove_lifeline(const std::string& folder, const std::string& instance);

// The l7r workers of the roles file that still live and hold their ends, with new control sockets.
// What the folder has of others is removed. To be called before the file is written anew.
std::vector<Member> rescue_workers(const std::string& roles_file, const std::string& folder);

// Whether the process behind a pidfd has ended.
bool has_ended(const UniqueFd& process);

}  // namespace qvd::supervisor
