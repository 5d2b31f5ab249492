#include "check.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "config/keys.hpp"
#include "config/logging.hpp"
#include "configuration.hpp"
#include "hkd/keys.hpp"
#include "hkd/network/addresses.hpp"
#include "plugin/host.hpp"
#include "plugin/keys.hpp"
#include "plugin/processes.hpp"
#include "plugin/registry.hpp"
#include "store/embedded.hpp"
#include "store/memory_store.hpp"
#include "store/postgres.hpp"

#include <qvd/authenticator.h>
#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>

#include <boost/asio/co_spawn.hpp>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <set>

namespace qvd::node {

namespace {

namespace asio = boost::asio;

constexpr int patience_ms = 50'000;
// As sysexits has it.
constexpr int exit_config = 78;
// How the child says that it came to its own end: a plugin may call exit().
constexpr int child_good = 40;
constexpr int child_bad = 41;

// A plugin that the configuration names, and by which key.
struct Wanted {
    std::string key;
    const char* interface;
    std::string name;
};

std::vector<Wanted> wanted_plugins(const config::View& view) {
    std::vector<Wanted> wanted{
        {plugin::balancer.name, QVD_LOAD_BALANCER, view.get(plugin::balancer)}};
    for (const std::string& name : view.get(plugin::authenticators))
        wanted.push_back({plugin::authenticators.name, QVD_AUTHENTICATOR, name});
    for (const std::string& name : view.get(plugin::hypervisors))
        wanted.push_back({plugin::hypervisors.name, QVD_HYPERVISOR, name});
    wanted.push_back({plugin::hypervisor.name, QVD_HYPERVISOR, view.get(plugin::hypervisor)});
    return wanted;
}

using Values = std::map<std::string, std::string>;

asio::awaitable<void> read_values(store::Store& store, Result<Values>& into) {
    into = co_await store.configuration();
}

// What the database says. Starts nothing.
Result<config::View::Values> database_values(const config::View& view) {
    if (const auto place = store::embedded_place(view)) {
        using State = store::EmbeddedCluster::Status::State;
        const auto status = store::EmbeddedCluster(*place).status();
        if (status.state != State::running)
            return Error{ErrorKind::unavailable, "database.stopped", status.sentence};
    }
    asio::io_context loop;
    QVD_TRY(const auto store, store::open_postgres(loop.get_executor(), view, store::Role::owner));
    Result<Values> values = Error{ErrorKind::unavailable, "database.silent", "it does not answer"};
    bool done = false;
    asio::co_spawn(loop, read_values(*store, values),
                   [&done](const std::exception_ptr& /*broken*/) { done = true; });
    // The store sees to it that this ends.
    while (!done && loop.run_one() != 0) continue;
    if (!values.ok()) return values.error();
    return config::View::Values(values->begin(), values->end());
}

// One check from the file to the plugins; prints what it finds as it goes, so that nothing is lost
// when a plugin ends the process.
class Check {
public:
    explicit Check(std::string path) : path_(std::move(path)) {}

    int run() {
        const auto file = config::Properties::read(path_);
        if (!file.ok()) {
            error(file.error().sentence());
            return verdict();
        }
        plugin::Catalogue plugins;
        config::View view = view_with_plugins(*file, plugins);
        std::cout << path_ << ": " << file->entries().size() << " keys\n";
        for (const InstalledPlugin& plugin : plugins) print_plugin(plugin);
        view = ask_database(view);
        look_at_values(view);
        look_at_file(view);
        make_plugins(view, std::move(plugins));
    }

private:
    void error(const std::string& sentence) {
        std::cout << "error: " << sentence << std::endl;
        good_ = false;
    }
    static void warning(const std::string& sentence) {
        std::cout << "warning: " << sentence << std::endl;
    }
    [[nodiscard]] int verdict() const {
        std::cout << (!good_       ? "a node would not start with this"
                      : !complete_ ? "good, as far as the file alone can tell"
                                   : "good")
                  << std::endl;
        return good_ ? child_good : child_bad;
    }

    static void print_plugin(const InstalledPlugin& plugin) {
        if (!plugin.problem.empty()) {
            std::cout << "plugin " << plugin.name << ": " << plugin.problem << std::endl;
            return;
        }
        std::vector<std::string> words;
        for (const std::string& interface : plugin.interfaces)
            words.emplace_back(plugin::word_for(interface));
        std::cout << "plugin " << plugin.name << " " << plugin.version << ": "
                  << text::join(words, ", ") << std::endl;
    }

    // The same view with what the database says, if it can be asked.
    config::View ask_database(const config::View& view) {
        const bool embedded = store::embedded_place(view).has_value();
        const char* const which = embedded ? "embedded" : "servers of database.host";
        const auto values = database_values(view);
        if (values.ok()) {
            std::cout << "database: " << which << ", " << values->size() << " keys" << std::endl;
            return view.with_database(*values);
        }
        // One that is not running yet may well be empty; that of a farm hardly is.
        complete_ = embedded;
        std::cout << "database: " << which
                  << "; it cannot be asked, so what it says is not checked ("
                  << values.error().sentence() << ")" << std::endl;
        return view;
    }

    void look_at_values(const config::View& view) {
        for (const config::Finding& finding : view.findings()) {
            if (finding.severity == config::Finding::Severity::error)
                error(finding.text());
            else
                warning(finding.text());
        }
        if (const auto missing = view.missing(); !missing.empty())
            warning("a node waits until these are set: " + text::join(missing, ", "));
        else if (const auto addresses = hkd::network::addresses_of(view); !addresses.ok())
            error(view.setting(hkd::network_ip_start.name)->where + ": " +
                  addresses.error().sentence());
        if (const auto log = config::log_target(view, "qvd-node", "supervisor"); !log.ok())
            error(log.error().sentence());
    }

    // A file with passwords is for root alone.
    void look_at_file(const config::View& view) {
        struct stat status {};
        if (::stat(path_.c_str(), &status) != 0) return;
        const bool open_to_group = (status.st_mode & S_IRGRP) != 0 && status.st_gid != 0;
        if ((status.st_mode & S_IROTH) == 0 && !open_to_group) return;
        for (const auto& [name, setting] : view.all())
            if (setting.declaration->has(config::secret) &&
                setting.origin == config::Origin::file && setting.value && !setting.value->empty())
                warning(setting.where + ": " + name +
                        " can be read by others than root: chmod 0600 " + path_);
    }

    // Makes what the broker and hkd will make, each with the services that it will have there.
    [[noreturn]] void make_plugins(const config::View& view, plugin::Catalogue plugins) {
        EventLoop loop;
        store::MemoryStore nobody(loop.get_executor());
        plugin::Host broker(loop, view, &nobody, 1);
        broker.vm_addresses = [&view]() -> Result<std::pair<std::string, std::string>> {
            QVD_TRY(const auto addresses, hkd::network::addresses_of(view));
            return std::pair(hkd::network::to_text(addresses.vm_first),
                             hkd::network::to_text(addresses.vm_last));
        };
        plugin::Host hkd(loop, view, &nobody, 1);
        // Those of a running node are none of a check's business.
        hkd.processes = std::make_unique<plugin::Processes>(
            hkd.workers().get_executor(),
            view.get(config::path_tmp) + "/qvd-check-" + std::to_string(::getpid()));
        plugin::Registry of_broker(broker, plugins);
        plugin::Registry of_hkd(hkd, std::move(plugins));
        std::vector<std::shared_ptr<plugin::Instance>> made;
        std::set<std::pair<std::string, std::string>> seen;
        for (const Wanted& wanted : wanted_plugins(view)) {
            const std::string file = plugin::Registry::resolve(wanted.interface, wanted.name, view);
            if (!seen.emplace(wanted.interface, file).second) continue;
            const bool runs_vms = std::string_view(wanted.interface) == QVD_HYPERVISOR;
            auto instance = (runs_vms ? of_hkd : of_broker).make(wanted.interface, wanted.name);
            if (instance.ok())
                made.push_back(std::move(*instance));
            else
                blame(*view.setting(wanted.key), wanted, instance.error());
        }
        // No plugin's destructors: this process ends at once.
        ::_exit(verdict());
    }

    void blame(const config::Setting& setting, const Wanted& wanted, const Error& why) {
        const bool by_default = setting.origin == config::Origin::fallback;
        const std::string sentence =
            by_default ? wanted.key + " is not set, and its default is " + wanted.name + ": " +
                             why.sentence()
                       : setting.where + ": " + wanted.key + ": " + why.sentence();
        if (by_default && !complete_)
            warning("unless the database says otherwise: " + sentence);
        else
            error(sentence);
    }

    std::string path_;
    bool good_ = true;
    bool complete_ = true;  // nothing was left unasked that may matter
};

}  // namespace

int check_configuration(const std::string& file) {
    std::cout << std::flush;
    const pid_t child = ::fork();
    if (child < 0) return 1;
    if (child == 0) {
        // What is worth saying is said on standard output.
        log::set_level(log::Level::off);
        const int status = Check(file).run();
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
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == child_good) return 0;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == child_bad) return exit_config;
    std::cout << "error: loading the plugins ended "
              << (WIFSIGNALED(wait_status) ? "with signal " + std::to_string(WTERMSIG(wait_status))
                                           : std::string("the process"))
              << "; `qvd-plugin-check` finds out which\n";
    return exit_config;
}

}  // namespace qvd::node
