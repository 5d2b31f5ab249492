// The l7r role of qvd-node.
#pragma once

#include "base/clock.hpp"
#include "net/role_link.hpp"

namespace qvd::l7r {

// Works until the supervisor says stop, or until the last session has ended after drain. Returns
// the exit status. The process must have nothing to lose: it reads what strangers send. While no
// broker is there, clients wait for `broker_patience` at most before they hear 503.
// `kernel_tls`: what net::kernel_has_tls() said before the process was confined.
int run(net::RoleLink link, bool kernel_tls, Milliseconds broker_patience = Milliseconds{5000});

}  // namespace qvd::l7r
