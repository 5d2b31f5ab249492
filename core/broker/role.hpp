// The broker: the role that tells logins their story.
#pragma once

#include "config/view.hpp"
#include "net/role_link.hpp"

namespace qvd::broker {

// Runs until the supervisor says stop, or is gone; the process's exit status. `view` is the file's
// configuration with this room's keys and those of plugin, store and config.
int run(net::RoleLink link, config::View view);

}  // namespace qvd::broker
