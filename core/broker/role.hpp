// The broker: the role that tells logins their story.
#pragma once

#include "config/view.hpp"
#include "net/role_link.hpp"
#include "plugin/catalogue.hpp"

#include <functional>
#include <string>
#include <utility>

namespace qvd::broker {

// First and last address for VMs as configured: what a plugin that makes VMs needs. The network is
// hkd's, a room below this one; the program lends its knowledge.
using VmAddresses =
    std::function<Result<std::pair<std::string, std::string>>(const config::View& view)>;

// Runs until the supervisor says stop, or is gone; the process's exit status. `view` is the file's
// configuration with this room's keys and those of plugin, store and config; `installed` what lies
// in path.plugins.
int run(net::RoleLink link, config::View view, plugin::Catalogue installed,
        VmAddresses vm_addresses);

}  // namespace qvd::broker
