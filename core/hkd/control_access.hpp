// Who may ask at the control socket.
#pragma once

#include <string>
#include <vector>

namespace qvd::hkd {

// -1: there is no such group.
long group_id(const std::string& name);

// Whether a process of this user and these groups may ask; `group` -1: there is no such group.
bool may_control(unsigned user, const std::vector<unsigned>& groups, long group);
// The same of who is at the other end of a connected socket.
bool is_allowed(int socket, long group);

}  // namespace qvd::hkd
