// qvd-node: one program, which runs a node as its supervisor, is each of the node's roles, and
// tells a running node what to do.
#include "base/file.hpp"
#include "check.hpp"
#include "config/keys.hpp"
#include "config/logging.hpp"
#include "configuration.hpp"
#include "database.hpp"
#include "options.hpp"
#include "roles.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/keys.hpp"
#include "supervisor/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <iostream>

namespace {

using namespace qvd;
using namespace qvd::node;

// As sysexits has them: the caller's mistake, a mistake in the configuration.
constexpr int exit_usage = 64;
constexpr int exit_config = 78;

int complain(const Error& error, int status) {
    std::cerr << "qvd-node: " << error.sentence() << "\n";
    return status;
}

// This program's file, also after a package upgrade has put another one in its place.
std::string own_file() {
    std::string path = std::filesystem::read_symlink("/proc/self/exe").string();
    constexpr std::string_view replaced = " (deleted)";
    if (path.ends_with(replaced)) path.resize(path.size() - replaced.size());
    return path;
}

Result<config::View> checked_configuration(const std::string& path) {
    QVD_TRY(const config::Properties file, config::Properties::read(path));
    config::View view = view_of(file);
    QVD_CHECK(view.check());
    return view;
}

// In the parent: waits for the child's word and ends. In the child: gives the end to write to.
Result<UniqueFd> go_into_background(const log::Target& log) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return errno_error("daemon", "cannot make a pipe");
    UniqueFd reading{ends[0]};
    UniqueFd writing{ends[1]};
    const pid_t child = ::fork();
    if (child < 0) return errno_error("daemon", "cannot fork");
    if (child != 0) {
        writing.reset();
        char word = 0;
        if (::read(reading.get(), &word, 1) == 1) ::_exit(0);
        std::cerr << "qvd-node: it did not come up; see "
                  << (log.syslog ? "the system's log" : log.file) << std::endl;
        ::_exit(1);
    }
    ::setsid();
    const UniqueFd nothing{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    ::dup2(nothing.get(), STDIN_FILENO);
    ::dup2(nothing.get(), STDOUT_FILENO);
    if (log.syslog || !log.file.empty()) ::dup2(nothing.get(), STDERR_FILENO);
    return writing;
}

Result<supervisor::Options> supervisor_options(const Options& options, const config::View& view,
                                               const log::Target& log) {
    const std::string self = own_file();
    const std::string file = std::filesystem::absolute(options.config_file).string();
    supervisor::Options made{QVD_VERSION,
                             {self, "--config=" + file},
                             {self, "--check-config", "--config=" + file},
                             RoleCommand{self, file, log, view.get(supervisor::l7r_user)},
                             view,
                             has_embedded_database(view),
                             UniqueFd{}};
    return made;
}

Result<int> run_node(const Options& options) {
    if (::geteuid() != 0)
        return Error{ErrorKind::denied, "node.root", "a node must be started by root"};
    QVD_TRY(const config::View view, checked_configuration(options.config_file));
    QVD_TRY(log::Target target, config::log_target(view, "qvd-node", "supervisor"));
    const auto folder = std::filesystem::path(target.file).parent_path().string();
    if (!folder.empty()) QVD_CHECK(file::make_folders(folder));
    QVD_TRY(std::optional<supervisor::Handover> handover, supervisor::take_handover());
    QVD_TRY(supervisor::Options made, supervisor_options(options, view, target));
    if (options.daemon && !handover) {
        QVD_TRY(made.started, go_into_background(target));
    }
    QVD_CHECK(log::open(target));
    return supervisor::Supervisor(std::move(made)).run(std::move(handover));
}

Milliseconds patience_for(Options::Verb verb, const config::View& view) {
    constexpr Milliseconds longest_reload{90'000};
    constexpr Milliseconds ends_of_roles{120'000};
    if (verb == Options::Verb::status) return Milliseconds{10'000};
    if (verb == Options::Verb::reload) return longest_reload;
    return Milliseconds(view.get(supervisor::node_stop_timeout)) + ends_of_roles +
           Milliseconds(view.get(supervisor::node_evacuate_timeout));
}

int tell_node(const Options& options, std::string_view request) {
    // A mistake in the file must not keep anybody from stopping the node.
    const auto file = config::Properties::read(options.config_file);
    if (!file.ok()) return complain(file.error(), exit_config);
    const config::View view = view_of(*file);
    const auto answered = supervisor::ask_supervisor(supervisor::command_socket_path(view), request,
                                                     patience_for(options.verb, view));
    if (!answered.ok())
        return complain(answered.error(), answered.error().code() == "node.not_running" ? 3 : 1);
    std::cout << *answered << std::flush;
    return 0;
}

int obey(const Options& options) {
    if (options.role) return run_role(options);
    switch (options.verb) {
        case Options::Verb::help:
            std::cout << usage();
            return 0;
        case Options::Verb::version:
            std::cout << "qvd-node " QVD_VERSION "\n";
            return 0;
        case Options::Verb::check_config:
            return check_configuration(options.config_file);
        case Options::Verb::reload:
            return tell_node(options, "reload");
        case Options::Verb::stop:
            return tell_node(options, "stop");
        case Options::Verb::stop_vms:
            return tell_node(options, "stop vms");
        case Options::Verb::status:
            return tell_node(options, options.json ? "status json" : "status");
        case Options::Verb::run:
            break;
    }
    const auto status = run_node(options);
    if (status.ok()) return *status;
    log::write(log::Level::fatal, "node.failed", {}, status.error().sentence());
    const bool configuration = status.error().kind() == ErrorKind::invalid;
    return complain(status.error(), configuration ? exit_config : 1);
}

}  // namespace

int main(int count, char** words) {
    try {
        const auto options = parse_options({words, static_cast<std::size_t>(count)});
        if (!options.ok()) return complain(options.error(), exit_usage);
        return obey(*options);
    } catch (const std::exception& broken) {
        std::cerr << "qvd-node: " << broken.what() << "\n";
        return 70;
    }
}
