// The program around the agent: its process, its files, its signals.
#pragma once

#include "config/view.hpp"
#include "vma/keys.hpp"

#include <functional>

namespace qvd::vma {

// A configuration that has been read and found good.
struct Configuration {
    config::Properties file;
    std::shared_ptr<const config::View> view;
    Settings settings;
};

// `path` empty: /etc/qvd/vma.conf, or the defaults where that does not exist. Errors: config.*,
// file.*.
Result<Configuration> read_configuration(const std::string& path);

// Loads the plugins, too, and lets them go again. Errors: plugin.load.
Result<void> check_plugins(const Configuration& configuration);

// Runs the agent until SIGTERM or SIGINT; its session goes on without it. Calls `ready` once calls
// are answered. Errors: vma.listen, plugin.load, file.*, log.open.
Result<void> run_agent(const Configuration& configuration, const std::function<void()>& ready);

}  // namespace qvd::vma
