#include "client/settings.hpp"

#include "base/text.hpp"
#include "client/keys.hpp"
#include "config/nearest_key.hpp"
#include "config/view.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

namespace qvd::client {
namespace {

std::string from(const Environment& environment, std::string_view name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string{} : found->second;
}

Result<config::View> read_files(const std::string& system_file, const std::string& user_file) {
    config::Properties all;
    for (const std::string& path : {system_file, user_file}) {
        Result<config::Properties> one = config::Properties::read(path);
        if (one.ok()) {
            all.merge(*one);
        } else if (one.error().kind() != ErrorKind::not_found) {
            return std::move(one).error();
        }
    }
    auto keys = std::make_shared<config::KeySet>();
    declare(*keys);
    config::View view{std::move(keys), std::move(all)};
    QVD_CHECK(view.check());
    return view;
}

Error usage(const std::string& code, const std::string& sentence) {
    return {ErrorKind::invalid, "usage." + code, sentence};
}

Result<int> port_of(const std::string& text) {
    const auto port = text::to_integer(text);
    if (!port || *port < 1 || *port > 65535)
        return usage("port", "\"" + text + "\" is no port: 1 to 65535");
    return static_cast<int>(*port);
}

// "host", "host:port", "[::1]:port", or a bare IPv6 address.
Result<void> take_host(Settings& settings, std::string text) {
    const std::size_t colon = text.rfind(':');
    const bool bracketed = text.starts_with('[');
    const bool bare_address = !bracketed && std::count(text.begin(), text.end(), ':') > 1;
    const bool has_port = colon != std::string::npos && !bare_address && text.back() != ']';
    if (has_port) {
        QVD_TRY(settings.port, port_of(text.substr(colon + 1)));
        text.resize(colon);
    }
    if (bracketed && text.ends_with(']')) text = text.substr(1, text.size() - 2);
    settings.host = text;
    return {};
}

// The files are shared with the graphical client, whose keys are no mistakes here. "x.*" is every
// key below x.
constexpr std::array<std::string_view, 35> graphical_client_keys{
    "client.user.password",
    "client.remember_username",
    "client.remember_password",
    "client.show.remember_password",
    "client.show.settings",
    "client.auto_connect",
    "client.force.host.name",
    "client.force.link",
    "client.ssl.error_timeout",
    "client.ssl.ocsp_mode",
    "client.ssl.allow_ocsp_server_failure",
    "client.ssl.options.*",
    "client.audio.enable",
    "client.printing.enable",
    "client.slave.enable",
    "client.slave.command",
    "client.slave.client",
    "client.slave.debug_commands",
    "client.file_sharing.enable",
    "client.sshfs.extra_args",
    "client.mount.*",
    "client.xming.extra_args",
    "client.vcxsrv.extra_args",
    "client.usb.*",
    "client.locale",
    "client.darwin.*",
    "client.auth_env_share.*",
    "client.auth_env.share.*",
    "path.client.*",
    "path.ssl.ca.*",
    "command.windows.*",
    "command.darwin.*",
    "command.xhost",
    "command.xhost.family",
    "path.qvd.bin",
};

bool is_of_graphical_client(const config::KeySet& keys, std::string_view name) {
    return std::any_of(graphical_client_keys.begin(), graphical_client_keys.end(),
                       [&](std::string_view known) {
                           // Whoever mistypes a key of this client did not mean a family of the
                           // other.
                           return known == name || (text::matches_wildcard(known, name) &&
                                                    config::slipped_from(keys, name).empty());
                       });
}

std::vector<std::string> warnings_of(const config::View& view) {
    std::vector<std::string> warnings;
    for (const config::Finding& finding : view.findings())
        if (view.keys().find(finding.key) != nullptr ||
            !is_of_graphical_client(view.keys(), finding.key))
            warnings.push_back(finding.text());
    return warnings;
}

Result<void> take_server(Settings& settings, const config::View& view, const Options& options,
                         const Environment& environment) {
    settings.port = static_cast<int>(view.get(host_port));
    if (const std::string port = from(environment, "QVDPORT"); !port.empty()) {
        QVD_TRY(settings.port, port_of(port));
    }
    std::string host = options.host.value_or(from(environment, "QVDHOST"));
    if (host.empty()) host = view.get(host_name);
    if (host.empty())
        return usage("host", "which server? Give -h HOST, QVDHOST or client.host.name");
    QVD_CHECK(take_host(settings, host));
    if (options.port) {
        QVD_TRY(settings.port, port_of(*options.port));
    }
    settings.user = options.user.value_or(from(environment, "QVDLOGIN"));
    if (settings.user.empty()) settings.user = view.get(user_name);
    if (settings.user.empty())
        return usage("user", "which user? Give -u USER, QVDLOGIN or client.user.name");
    if (settings.user.find(':') != std::string::npos)
        return usage("user", "a login has no colon in it");
    return {};
}

bool is_geometry(std::string_view text) {
    const std::vector<std::string> sides = text::split(text, 'x');
    return sides.size() == 2 && std::all_of(sides.begin(), sides.end(), [](const auto& side) {
               const auto pixels = text::to_integer(side);
               return pixels && *pixels > 0 && *pixels <= 32767;
           });
}

// "nx/nx,data=0,cache=16384:0" without what frames the options.
std::string bare_nx_options(std::string text) {
    for (const std::string_view prefix : {"nx/nx", "nx"})
        if (text.starts_with(prefix)) text.erase(0, prefix.size());
    const std::size_t colon = text.rfind(':');
    if (colon != std::string::npos &&
        text.find_first_not_of("0123456789", colon + 1) == std::string::npos)
        text.resize(colon);
    return std::string(text.starts_with(',') ? text.substr(1) : text);
}

Result<void> take_screen(Settings& settings, const config::View& view, const Options& options,
                         const Environment& environment) {
    settings.geometry = options.geometry.value_or(view.get(geometry));
    if (!settings.geometry.empty() && !is_geometry(settings.geometry))
        return usage("geometry", "\"" + settings.geometry + "\" is no size; 1024x768 is one");
    settings.fullscreen = options.fullscreen || view.get(fullscreen);
    settings.link = view.get(link);
    settings.display = from(environment, "DISPLAY");
    settings.nxproxy_command = view.get(command_nxproxy);
    settings.nxagent_options = view.get(nxagent_extra_args);
    settings.nxproxy_arguments = text::split_list(view.get(nxproxy_extra_args), ' ');
    settings.nxproxy_options = bare_nx_options(options.nx_options.value_or(""));
    return {};
}

std::set<ProblemKind> forbidden_problems(const config::View& view) {
    const std::array<std::pair<const config::Key<bool>*, ProblemKind>, 8> rules{{
        {&allow_bad_host, ProblemKind::bad_host},
        {&allow_untrusted, ProblemKind::untrusted},
        {&allow_expired, ProblemKind::expired},
        {&allow_not_yet_valid, ProblemKind::not_yet_valid},
        {&allow_insecure_sign_algo, ProblemKind::insecure_sign_algo},
        {&allow_weak_key, ProblemKind::weak_key},
        {&allow_revoked, ProblemKind::revoked},
        {&allow_unknown_error, ProblemKind::unknown_error},
    }};
    std::set<ProblemKind> never;
    for (const auto& [key, kind] : rules)
        if (!view.get(*key)) never.insert(kind);
    return never;
}

void take_tls(Settings& settings, const config::View& view, const Options& options,
              const std::string& folder) {
    settings.use_tls = view.get(use_ssl);
    settings.tls.authorities_folder = folder + "/certs";
    if (options.certificate_file) {
        settings.tls.certificate_file = *options.certificate_file;
        settings.tls.key_file = *options.key_file;
    } else if (view.get(ssl_use_cert)) {
        settings.tls.certificate_file = view.get(ssl_cert_file);
        settings.tls.key_file = view.get(ssl_key_file);
    }
    settings.certificates = {!options.any_certificate, forbidden_problems(view),
                             folder + "/accepted_certs.json"};
}

Result<void> take_log(Settings& settings, const config::View& view, const Options& options,
                      const Environment& environment, const std::string& folder) {
    settings.log.program = "qvdclient";
    const bool debug = options.debug || !from(environment, "QVD_DEBUG").empty();
    const std::string debug_file = from(environment, "QVD_DEBUG_FILE");
    const std::string file = view.get(log_filename);
    if (!debug_file.empty()) {
        settings.log.file = debug_file;
    } else if (!debug) {
        settings.log.file = file.empty() ? folder + "/qvd-client.log" : file;
    }
    QVD_TRY(settings.log.level, log::parse_level(view.get(log_level)));
    if (debug || !debug_file.empty()) settings.log.level = log::Level::debug;
    return {};
}

}  // namespace

Result<Settings> read_settings(const Options& options, const Environment& environment,
                               const std::string& system_file) {
    const std::string folder = from(environment, "HOME") + "/.qvd";
    QVD_TRY(const config::View view, read_files(system_file, folder + "/client.conf"));
    Settings settings;
    settings.warnings = warnings_of(view);
    QVD_CHECK(take_server(settings, view, options, environment));
    QVD_CHECK(take_screen(settings, view, options, environment));
    take_tls(settings, view, options, folder);
    QVD_CHECK(take_log(settings, view, options, environment, folder));
    settings.choice = {options.vm, options.first};
    settings.list_only = options.list;
    settings.restart = options.restart;
    settings.json = options.json;
    return settings;
}

}  // namespace qvd::client
