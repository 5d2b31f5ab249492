#include "roles.hpp"

#include "base/log_file.hpp"
#include "broker/role.hpp"
#include "config/keys.hpp"
#include "config/logging.hpp"
#include "configuration.hpp"
#include "database.hpp"
#include "hkd/network/addresses.hpp"
#include "hkd/role.hpp"
#include "l7r/role.hpp"
#include "net/tls.hpp"
#include "supervisor/confinement.hpp"
#include "supervisor/keys.hpp"
#include "supervisor/launcher.hpp"

#include <openssl/ssl.h>
#include <poll.h>

#include <iostream>

namespace qvd::node {

namespace {

// Two sockets for each connection and some to spare.
constexpr unsigned long l7r_descriptors = 65'536;

std::string_view level_name(log::Level level) {
    switch (level) {
        case log::Level::trace:
            return "TRACE";
        case log::Level::debug:
            return "DEBUG";
        case log::Level::info:
            return "INFO";
        case log::Level::warn:
            return "WARN";
        case log::Level::error:
            return "ERROR";
        case log::Level::fatal:
            return "FATAL";
        case log::Level::off:
            return "OFF";
    }
    return "INFO";
}

// Says what is missing for as long as the supervisor wants to hear it.
int stay_unconfigured(net::RoleLink link, const std::string& why) {
    if (!link.send(net::report::Status{"unconfigured: " + why}).ok()) return 1;
    for (;;) {
        if (!link.send(net::report::Alive{}).ok()) return 1;
        pollfd control{link.fd(), POLLIN, 0};
        (void)::poll(&control, 1, static_cast<int>(net::RoleLink::beat.count()));
        auto order = link.try_receive();
        if (!order.ok()) return 0;
        if (!*order) continue;
        if (std::holds_alternative<net::order::Log>((*order)->what)) {
            log::continue_in(std::move((*order)->fd));
            continue;
        }
        if (std::holds_alternative<net::order::Peer>((*order)->what) ||
            std::holds_alternative<net::order::Listen>((*order)->what) ||
            std::holds_alternative<net::order::Lifeline>((*order)->what))
            continue;
        return 0;
    }
}

void open_log(const log::Target& target) {
    const auto opened = log::open(target);
    if (!opened.ok()) log::warn("log.open_failed", {}, opened.error().sentence());
}

int run_worker(net::RoleLink link, const Options& options) {
    // Before the doors close: OpenSSL reads its configuration file.
    OPENSSL_init_ssl(0, nullptr);
    const bool kernel_tls = net::kernel_has_tls();
    const auto confined = supervisor::confine({options.user, true, l7r_descriptors});
    if (!confined.ok()) return stay_unconfigured(std::move(link), confined.error().sentence());
    return l7r::run(std::move(link), kernel_tls);
}

void log_problems(const plugin::Catalogue& installed) {
    for (const InstalledPlugin& plugin : installed)
        if (!plugin.problem.empty())
            log::warn("plugin.unusable", {{"plugin", plugin.name}}, plugin.problem);
}

Result<std::pair<std::string, std::string>> vm_addresses(const config::View& view) {
    QVD_TRY(const auto addresses, hkd::network::addresses_of(view));
    return std::pair(hkd::network::to_text(addresses.vm_first),
                     hkd::network::to_text(addresses.vm_last));
}

int run_broker(net::RoleLink link, const config::Properties& file) {
    const std::string user = view_of(file).get(supervisor::broker_user);
    const auto confined = supervisor::confine({user, false, 0});
    if (!confined.ok()) return stay_unconfigured(std::move(link), confined.error().sentence());
    config::View view = view_of(file);
    if (const auto good = view.check(); !good.ok())
        return stay_unconfigured(std::move(link), good.error().sentence());
    // Only now: a plugin's code never runs as root here; and only that of plugins which logins use
    // ever runs in this process.
    plugin::Catalogue installed = plugin::read_catalogue(view.get(config::path_plugins));
    log_problems(installed);
    return broker::run(std::move(link), std::move(view), std::move(installed), vm_addresses);
}

int run_hkd(net::RoleLink link, const config::Properties& file) {
    // No plugin's keys: it opens its hypervisors itself, and nothing else runs as root.
    config::View view = view_of(file);
    if (const auto good = view.check(); !good.ok())
        return stay_unconfigured(std::move(link), good.error().sentence());
    return hkd::run(std::move(link), std::move(view));
}

int run_configured(net::RoleLink link, const Options& options) {
    const auto file = config::Properties::read(options.config_file);
    if (!file.ok()) return stay_unconfigured(std::move(link), file.error().sentence());
    const config::View view = view_of(*file);
    const auto target = config::log_target(view, "qvd-node", net::to_string(*options.role));
    if (!target.ok()) return stay_unconfigured(std::move(link), target.error().sentence());
    open_log(*target);
    switch (*options.role) {
        case net::Role::broker:
            return run_broker(std::move(link), *file);
        case net::Role::hkd:
            return run_hkd(std::move(link), *file);
        case net::Role::database:
            return run_database(std::move(link), view);
        case net::Role::l7r:
            break;
    }
    return 1;
}

}  // namespace

std::vector<std::string> RoleCommand::operator()(net::Role role,
                                                 const std::string& instance) const {
    std::vector<std::string> words{self, "--role=" + std::string(net::to_string(role)),
                                   "--instance=" + instance};
    if (role != net::Role::l7r) {
        words.push_back("--config=" + config_file);
        return words;
    }
    words.push_back("--user=" + l7r_user);
    words.push_back("--log-level=" + std::string(level_name(log.level)));
    if (log.syslog) words.emplace_back("--log-syslog");
    if (!log.file.empty()) words.push_back("--log-file=" + log.file);
    return words;
}

int run_role(const Options& options) {
    net::RoleLink link(UniqueFd{supervisor::role_control_fd}, *options.role, options.instance);
    try {
        if (*options.role != net::Role::l7r) return run_configured(std::move(link), options);
        log::Target target = options.log;
        target.role = "l7r";
        open_log(target);
        return run_worker(std::move(link), options);
    } catch (const std::exception& broken) {
        log::error("role.broken", {{"instance", options.instance}}, broken.what());
        return 3;
    }
}

}  // namespace qvd::node
