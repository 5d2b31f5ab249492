// hkd: the role that has VMs.
#pragma once

#include "config/view.hpp"
#include "net/role_link.hpp"

namespace qvd::hkd {

// Runs until the supervisor says stop, or is gone; the process's exit status. `view` is the file's
// configuration with this room's keys and those of config, store, plugin and the plugins.
int run(net::RoleLink link, config::View view);

}  // namespace qvd::hkd
