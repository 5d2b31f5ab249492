// The whole of `qa doctor`: every check of this machine, in the order in which one thing needs the
// other.
#pragma once

#include "admin/doctor/diagnosis.hpp"
#include "base/result.hpp"
#include "config/view.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace qvd::admin::doctor {

// What the examination must be told by the program, because it lies in rooms below this one.
struct Surroundings {
    struct PluginKeys {
        config::View view;  // with the keys that the plugins declare
        // Of each plugin file that cannot be loaded: its name, and why.
        std::vector<std::pair<std::string, std::string>> broken;
    };

    std::string file;  // the node's
    std::function<config::View(const config::Properties&)> view_of;
    // Runs the plugins' code: called in a child.
    std::function<PluginKeys(const config::Properties&)> view_with_plugins;
    // What `qvd-node status` asks, as JSON.
    std::function<Result<std::string>(const config::View&)> node_status;
};

// Starts and changes nothing. Blocking: some seconds at most, unless a plugin hangs.
Diagnoses examine(const Surroundings& surroundings);

}  // namespace qvd::admin::doctor
