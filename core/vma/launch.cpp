#include "vma/launch.hpp"

#include "base/file.hpp"
#include "base/text.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

namespace qvd::vma {

namespace {

using Environment = std::map<std::string, std::string>;

void take_file(Environment& environment, const std::string& path) {
    const Result<std::string> text = file::read(path, std::size_t{64} << 10U);
    if (!text.ok()) return;  // most images have only some of them
    for (auto& [name, value] : parse_environment_file(*text)) environment[name] = value;
}

// The agent's own program: nxagent calls it for its dialogs.
std::string own_program() {
    std::string path(4096, '\0');
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    path.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return path;
}

std::string value_of(const agent::Parameters& session, std::string_view name) {
    const auto found = session.find(name);
    return found == session.end() ? std::string{} : found->second;
}

Environment session_environment(const Account& account, const agent::Parameters& session,
                                const Settings& settings) {
    Environment environment{{"PATH", "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"},
                            {"LANG", settings.lang}};
    for (const char* path : {"/etc/locale.conf", "/etc/default/locale", "/etc/environment"})
        take_file(environment, path);
    environment["HOME"] = account.home;
    environment["USER"] = account.name;
    environment["LOGNAME"] = account.name;
    environment["SHELL"] = account.shell.empty() ? "/bin/sh" : account.shell;
    environment["MAIL"] = "/var/mail/" + account.name;
    const std::string nxdiag = settings.nxdiag.empty() ? own_program() : settings.nxdiag;
    if (!nxdiag.empty()) environment["NX_CLIENT"] = nxdiag;
    if (settings.audio)
        environment["PULSE_SERVER"] = "tcp:localhost:" + std::to_string(7000 + settings.display);
    if (settings.slave) {
        // Upstream's nxagent reads the first, the distribution's 3.5.99 the second.
        environment["QVD_SLAVE_CMD"] = settings.slave_command;
        environment["NX_SLAVE_CMD"] = settings.slave_command;
    }
    if (const std::string zone = value_of(session, "qvd.client.timezone");
        !zone.empty() &&
        zone.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                               "0123456789_+-/") == std::string::npos &&
        zone.find("..") == std::string::npos && zone.front() != '/')
        environment["TZ"] = zone;
    return environment;
}

// Whether the process that a lock file names is an X server.
bool is_server(std::int64_t pid) {
    if (pid < 1 || ::kill(static_cast<pid_t>(pid), 0) != 0) return false;
    const Result<std::string> name = file::read("/proc/" + std::to_string(pid) + "/comm", 256);
    return name.ok() && (name->starts_with("nxagent") || name->starts_with("X"));
}

}  // namespace

Environment parse_environment_file(std::string_view text) {
    Environment environment;
    for (const std::string& raw : text::split(text, '\n')) {
        std::string_view line = text::trim(raw);
        if (line.starts_with("export ")) line = text::trim(line.substr(7));
        const std::size_t equals = line.find('=');
        if (line.starts_with('#') || equals == std::string_view::npos || equals == 0) continue;
        const std::string_view name = line.substr(0, equals);
        std::string_view value = line.substr(equals + 1);
        if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
            value.back() == value.front())
            value = value.substr(1, value.size() - 2);
        if (name.find_first_of(" \t\"'") == std::string_view::npos)
            environment[std::string(name)] = value;
    }
    return environment;
}

Command session_command(const Account& account, const agent::Parameters& session,
                        const Settings& settings, std::string output_file) {
    const std::string display = ":" + std::to_string(settings.display);
    Command command;
    command.argv = {settings.xinit, settings.x_session};
    const auto add = [&command](const std::vector<std::string>& arguments) {
        command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    };
    add(settings.x_session_args);
    // Access control is off because the display is the user's alone in his VM, and that it has no
    // TCP port is what keeps it so.
    add({"--", settings.nxagent, display, "-ac", "-nolisten", "tcp", "-name", "QVD", "-display",
         "nx/nx,options=" + settings.nxagent_config + display});
    add(settings.nxagent_args);
    command.environment.clear();
    for (const auto& [name, value] : session_environment(account, session, settings))
        command.environment.push_back(name + "=" + value);
    command.identity = Identity{account.uid, account.gid, account.groups};
    command.folder = account.home;
    command.umask = settings.user_umask;
    command.output_file = std::move(output_file);
    return command;
}

namespace {

bool is_there(const std::string& path) {
    struct stat about {};
    return ::lstat(path.c_str(), &about) == 0;
}

}  // namespace

Result<void> clear_display(int display) {
    const std::string number = std::to_string(display);
    const std::string lock = "/tmp/.X" + number + "-lock";
    if (::mkdir("/tmp/.X11-unix", 0) == 0 && ::chmod("/tmp/.X11-unix", 01777) != 0)
        return errno_error("vma.display", "cannot make /tmp/.X11-unix");
    // Every user of the VM may write there, also what is no lock.
    const Result<std::string> holder = file::read_regular(lock, 64);
    if (!holder.ok() && !is_there(lock)) return {};
    const auto pid = text::to_integer(text::trim(holder.ok() ? *holder : std::string()));
    if (pid && is_server(*pid))
        return Error{ErrorKind::conflict, "vma.display",
                     "display :" + number + " is in use by process " + std::to_string(*pid)};
    ::unlink(lock.c_str());
    ::unlink(("/tmp/.X11-unix/X" + number).c_str());
    return {};
}

}  // namespace qvd::vma
