// The l7r role of qvd-node.
#pragma once

#include "net/role_link.hpp"

namespace qvd::l7r {

// Works until the supervisor says stop, or until the last session has ended after drain. Returns
// the exit status. The process must have nothing to lose: it reads what strangers send.
int run(net::RoleLink link);

}  // namespace qvd::l7r
