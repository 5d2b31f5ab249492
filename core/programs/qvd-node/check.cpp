#include "check.hpp"

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "config/logging.hpp"
#include "configuration.hpp"
#include "database.hpp"
#include "plugin/host.hpp"
#include "plugin/keys.hpp"
#include "plugin/registry.hpp"

#include <qvd/authenticator.h>
#include <qvd/load_balancer.h>

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>

namespace qvd::node {

namespace {

constexpr int patience_ms = 50'000;

void print_plugin(const InstalledPlugin& plugin) {
    if (!plugin.problem.empty()) {
        std::cout << "plugin " << plugin.name << ": " << plugin.problem << "\n";
        return;
    }
    std::vector<std::string> words;
    for (const std::string& interface : plugin.interfaces)
        words.emplace_back(plugin::word_for(interface));
    std::cout << "plugin " << plugin.name << " " << plugin.version << ": "
              << text::join(words, ", ") << "\n";
}

// Makes what the broker will make.
bool make_configured(const config::View& view) {
    boost::asio::io_context loop;
    plugin::Host host(loop, view, nullptr, 1);
    plugin::Registry registry(host);
    std::vector<std::pair<const char*, std::string>> wanted{
        {QVD_LOAD_BALANCER, view.get(plugin::balancer)}};
    for (const std::string& name : view.get(plugin::authenticators))
        wanted.emplace_back(QVD_AUTHENTICATOR, name);
    bool good = true;
    for (const auto& [interface, name] : wanted) {
        const auto library = registry.open(plugin::Registry::resolve(interface, name, view));
        if (library.ok() && plugin::find_interface((*library)->plugin(), interface) != nullptr)
            continue;
        good = false;
        std::cout << "error: " << plugin::word_for(interface) << " " << text::quoted(name) << ": "
                  << (library.ok() ? "the plugin is there, but is of another kind"
                                   : library.error().sentence())
                  << "\n";
    }
    return good;
}

int check_here(const std::string& path) {
    const auto file = config::Properties::read(path);
    if (!file.ok()) {
        std::cout << "error: " << file.error().sentence() << "\n";
        return 1;
    }
    std::vector<InstalledPlugin> plugins;
    const config::View view = view_with_plugins(*file, plugins);
    std::cout << path << ": " << file->entries().size() << " keys; database: "
              << (has_embedded_database(view) ? "embedded" : "servers of database.host") << "\n";
    for (const InstalledPlugin& plugin : plugins) print_plugin(plugin);
    bool good = true;
    for (const config::Finding& finding : view.findings()) {
        const bool error = finding.severity == config::Finding::Severity::error;
        std::cout << (error ? "error: " : "warning: ") << finding.text() << "\n";
        good = good && !error;
    }
    if (good) {
        const auto log = config::log_target(view, "qvd-node", "supervisor");
        if (!log.ok()) std::cout << "error: " << log.error().sentence() << "\n";
        good = log.ok();
    }
    if (good) good = make_configured(view);
    std::cout << (good ? "good\n" : "a node would not start with this\n") << std::flush;
    return good ? 0 : 1;
}

}  // namespace

int check_configuration(const std::string& file) {
    std::cout << std::flush;
    const pid_t child = ::fork();
    if (child < 0) return 1;
    if (child == 0) {
        const int status = check_here(file);
        std::cout << std::flush;
        ::_exit(status);  // no plugin's destructors
    }
    const UniqueFd process{static_cast<int>(::syscall(SYS_pidfd_open, child, 0))};
    pollfd gone{process.get(), POLLIN, 0};
    if (process && ::poll(&gone, 1, patience_ms) == 0) {
        std::cout << "error: loading the plugins took longer than 50 s\n";
        ::kill(child, SIGKILL);
    }
    int wait_status = 0;
    ::waitpid(child, &wait_status, 0);
    if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
    std::cout << "error: loading the plugins ended with signal " << WTERMSIG(wait_status)
              << "; `qvd-plugin-check` finds out which\n";
    return 1;
}

}  // namespace qvd::node
