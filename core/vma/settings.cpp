#include "base/text.hpp"
#include "vma/keys.hpp"

#include <array>
#include <charconv>

namespace qvd::vma {

std::shared_ptr<const config::KeySet> key_set() {
    auto set = std::make_shared<config::KeySet>();
    set->add(config::path_run, config::path_log, config::path_qvd_bin, config::path_plugins,
             config::log_filename, config::log_level, config::log4perl_root_logger,
             config::log4perl_syslog);
    set->add(keys::port, keys::address, keys::token_file, keys::pid_file, keys::audio,
             keys::printing, keys::slave, keys::slave_command, keys::keyboard, keys::link,
             keys::geometry, keys::fullscreen, keys::client_os, keys::lang, keys::home_drive,
             keys::home_fs, keys::home_path, keys::user_name, keys::user_groups, keys::user_shell,
             keys::user_umask);
    set->add(keys::hook_timeout, keys::hook_plugins, keys::on_action, keys::on_state,
             keys::on_provisioning);
    set->add(keys::xinit, keys::nxagent, keys::nxagent_args, keys::x_session, keys::x_session_args,
             keys::x11vnc, keys::x11vnc_args, keys::nxdiag, keys::useradd, keys::userdel,
             keys::groupadd, keys::groupdel, keys::poweroff);
    set->add(keys::display, keys::limit_starting, keys::limit_listening, keys::limit_suspending,
             keys::limit_stopping, keys::nxagent_config, keys::slave_config);
    return set;
}

namespace {

constexpr std::array<std::string_view, 12> hook_keys{
    "vma.on_action.pre-connect",    "vma.on_action.connect",
    "vma.on_action.suspend",        "vma.on_action.stop",
    "vma.on_action.poweroff",       "vma.on_action.expire",
    "vma.on_state.connected",       "vma.on_state.suspended",
    "vma.on_state.disconnected",    "vma.on_provisioning.mount_home",
    "vma.on_provisioning.add_user", "vma.on_provisioning.after_add_user",
};

Result<void> add_hooks(const config::View& view, std::string_view family, Settings& settings) {
    const std::string prefix(family.substr(0, family.size() - 1));
    for (const auto& [name, program] : view.family(family)) {
        const std::string key = prefix + name;
        if (program.empty()) continue;
        if (key == "vma.on_action.disconnect") {
            settings.warnings.push_back(key +
                                        " has no effect, nor had it in QVD 3.5: a client that goes "
                                        "suspends the session (vma.on_action.suspend)");
            continue;
        }
        const std::vector<std::string> known(hook_keys.begin(), hook_keys.end());
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            const std::string near = text::nearest(key, known);
            return Error{
                ErrorKind::invalid, "config.value",
                "there is no hook " + key + (near.empty() ? "" : "; did you mean " + near)};
        }
        if (program.front() != '/')
            return Error{ErrorKind::invalid, "config.value",
                         key + " must be the full path of a program, not " + text::quoted(program)};
        settings.hooks[key] = program;
    }
    return {};
}

Result<mode_t> parse_umask(const std::string& text) {
    mode_t mask = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, mask, 8);
    if (problem != std::errc{} || stop != end || mask > 0777)
        return Error{ErrorKind::invalid, "config.value",
                     "vma.user.umask must be an octal number like 0022, not " + text::quoted(text)};
    return mask;
}

void read_session(const config::View& view, Settings& settings) {
    settings.audio = view.get(keys::audio);
    settings.printing = view.get(keys::printing);
    settings.slave_command = view.get(keys::slave_command);
    settings.slave = view.get(keys::slave) && !settings.slave_command.empty();
    settings.client_defaults = {{"keyboard", view.get(keys::keyboard)},
                                {"link", view.get(keys::link)},
                                {"geometry", view.get(keys::geometry)},
                                {"fullscreen", view.get(keys::fullscreen)},
                                {"os", view.get(keys::client_os)}};
    settings.lang = view.get(keys::lang);
    settings.display = static_cast<int>(view.get(keys::display));
    settings.limit_starting = view.get(keys::limit_starting);
    settings.limit_listening = view.get(keys::limit_listening);
    settings.limit_suspending = view.get(keys::limit_suspending);
    settings.limit_stopping = view.get(keys::limit_stopping);
    settings.nxagent_config = view.get(keys::nxagent_config);
    settings.slave_config = view.get(keys::slave_config);
}

void read_user(const config::View& view, Settings& settings) {
    settings.home_drive = view.get(keys::home_drive);
    settings.home_fs = view.get(keys::home_fs);
    settings.home_path = view.get(keys::home_path);
    settings.user_name = view.get(keys::user_name);
    settings.user_groups = view.get(keys::user_groups);
    settings.user_shell = view.get(keys::user_shell);
}

void read_commands(const config::View& view, Settings& settings) {
    settings.xinit = view.get(keys::xinit);
    settings.nxagent = view.get(keys::nxagent);
    settings.x_session = view.get(keys::x_session);
    settings.nxdiag = view.get(keys::nxdiag);
    settings.x11vnc = view.get(keys::x11vnc);
    settings.x11vnc_args = text::split_list(view.get(keys::x11vnc_args), ' ');
    settings.useradd = view.get(keys::useradd);
    settings.userdel = view.get(keys::userdel);
    settings.groupadd = view.get(keys::groupadd);
    settings.groupdel = view.get(keys::groupdel);
    settings.nxagent_args = text::split_list(view.get(keys::nxagent_args), ' ');
    settings.x_session_args = text::split_list(view.get(keys::x_session_args), ' ');
    settings.poweroff = text::split_list(view.get(keys::poweroff), ' ');
}

}  // namespace

Result<Settings> read_settings(const config::View& view) {
    QVD_CHECK(view.check());
    Settings settings;
    settings.address = view.get(keys::address);
    settings.port = static_cast<std::uint16_t>(view.get(keys::port));
    settings.token_file = view.get(keys::token_file);
    settings.pid_file = view.get(keys::pid_file);
    settings.run_folder = view.get(config::path_run);
    settings.log_folder = view.get(config::path_log);
    settings.plugin_folder = view.get(config::path_plugins);
    settings.hook_timeout = view.get(keys::hook_timeout);
    settings.hook_plugins = view.get(keys::hook_plugins);
    read_session(view, settings);
    read_user(view, settings);
    read_commands(view, settings);
    QVD_TRY(settings.user_umask, parse_umask(view.get(keys::user_umask)));
    for (const std::string_view family :
         {keys::on_action.name, keys::on_state.name, keys::on_provisioning.name})
        QVD_CHECK(add_hooks(view, family, settings));
    return settings;
}

}  // namespace qvd::vma
