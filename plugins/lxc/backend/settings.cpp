#include "backend/settings.hpp"

#include "common/fields.hpp"

#include <algorithm>
#include <csignal>
#include <sstream>
#include <string_view>
#include <utility>

namespace qvd::lxc {

namespace {

std::string text_of(const sdk::Core& core, const char* key) {
    return std::string(core.config(key));
}

std::int64_t number_of(const sdk::Core& core, const char* key) {
    const auto number = parse_number(core.config(key));
    if (!number)
        throw sdk::Failure(QVD_INVALID,
                           std::string(key) + " is no number: \"" + text_of(core, key) + "\"");
    return *number;
}

// Such a path goes into mount options and into a shell's command line.
std::string path_of(const sdk::Core& core, const char* key) {
    std::string path = text_of(core, key);
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    if (path.empty() || path.front() != '/')
        throw sdk::Failure(QVD_INVALID,
                           std::string(key) + " must be an absolute path, it is \"" + path + "\"");
    if (path.find_first_of(" ',:\\\"$`\n\t") != std::string::npos)
        throw sdk::Failure(QVD_INVALID, std::string(key) +
                                            " must be a path without blanks, quotes, "
                                            "\",\", \":\", \"$\" and \"\\\": " +
                                            path);
    return path;
}

std::vector<std::string> words_of(const std::string& text, const char* separators) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find_first_of(separators, at), text.size());
        const std::string word = text.substr(at, end - at);
        if (word.find_first_not_of(" \t") != std::string::npos) words.push_back(word);
        at = end + 1;
    }
    return words;
}

// It names cgroups and abstract sockets.
std::string prefix_of(const sdk::Core& core, const char* key) {
    std::string prefix = text_of(core, key);
    const bool plain = std::all_of(prefix.begin(), prefix.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (prefix.empty() || !plain)
        throw sdk::Failure(QVD_INVALID,
                           std::string(key) + R"( must be made of a-z, 0-9, "-" and "_")");
    return prefix;
}

}  // namespace

Settings::Settings(const sdk::Core& core)
    : basefs(path_of(core, "path.storage.basefs")),
      overlayfs(path_of(core, "path.storage.overlayfs")),
      rootfs(path_of(core, "path.storage.rootfs")),
      homefs(path_of(core, "path.storage.homefs")),
      run(path_of(core, "path.run") + "/vm"),
      given(path_of(core, "path.run") + "/given"),
      programs(path_of(core, "path.qvd.bin")),
      container_prefix(prefix_of(core, "internal.vm.lxc.name.prefix")),
      device_prefix(prefix_of(core, "internal.vm.network.device.prefix")),
      init(text_of(core, "vm.lxc.init")),
      halt_signal(text_of(core, "vm.lxc.signal.halt")),
      apparmor(text_of(core, "vm.lxc.apparmor.profile")),
      sys_admin(text_of(core, "vm.lxc.sys_admin")),
      unprivileged(text_of(core, "vm.lxc.unprivileged")),
      first_id(static_cast<std::uint32_t>(number_of(core, "internal.vm.lxc.unprivileged.first"))),
      ids(static_cast<std::uint32_t>(number_of(core, "vm.lxc.unprivileged.ids"))),
      seccomp(text_of(core, "vm.lxc.seccomp.profile")),
      devices(words_of(text_of(core, "vm.lxc.devices"), " \t,")),
      extra(words_of(text_of(core, "internal.vm.lxc.conf.extra"), ";\n")),
      processes_max(number_of(core, "vm.lxc.processes.max")),
      cpu_shares(number_of(core, "vm.lxc.cpu.shares")),
      swap_mib(number_of(core, "vm.lxc.swap")),
      cpuset(text_of(core, "vm.lxc.cpuset")),
      console_bytes(number_of(core, "vm.lxc.console.size") * 1024),
      unpack_max_mib(number_of(core, "vm.lxc.unpack.max.mib")),
      unpack_max_entries(number_of(core, "vm.lxc.unpack.max.entries")) {
    for (std::string& line : words_of(text_of(core, "vm.lxc.conf.extra"), ";\n"))
        extra.push_back(std::move(line));
    for (const std::string& line : extra)
        if (line.find('=') == std::string::npos)
            throw sdk::Failure(QVD_INVALID, "vm.lxc.conf.extra: \"" + line +
                                                R"(" is not of the form "lxc.KEY = VALUE")");
    if (!is_cpuset(cpuset))
        throw sdk::Failure(QVD_INVALID,
                           "vm.lxc.cpuset is a list such as 0-3,8, not \"" + cpuset + "\"");
    if (sys_admin != "auto" && sys_admin != "1" && sys_admin != "0")
        throw sdk::Failure(QVD_INVALID,
                           "vm.lxc.sys_admin is auto, 1 or 0, not \"" + sys_admin + "\"");
    check_unprivileged(unprivileged);
    if (halt_signal != "auto" && signal_number(halt_signal) == 0)
        throw sdk::Failure(QVD_INVALID, "vm.lxc.signal.halt: there is no signal \"" + halt_signal +
                                            "\" (try auto, SIGPWR, SIGTERM or SIGRTMIN+3)");
}

void check_unprivileged(const std::string& text) {
    if (text != "auto" && text != "1" && text != "0")
        throw sdk::Failure(QVD_INVALID,
                           "vm.lxc.unprivileged is auto, 1 or 0, not \"" + text + "\"");
}

bool is_cpuset(const std::string& text) {
    return text.find_first_not_of("0123456789,-") == std::string::npos;
}

int signal_number(const std::string& name) {
    constexpr std::pair<std::string_view, int> known[] = {
        {"SIGPWR", SIGPWR},   {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},  {"SIGHUP", SIGHUP},
        {"SIGQUIT", SIGQUIT}, {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}};
    for (const auto& [text, number] : known)
        if (text == name) return number;
    constexpr std::string_view real_time = "SIGRTMIN+";
    if (name.compare(0, real_time.size(), real_time) != 0) return 0;
    const auto offset = parse_number(std::string_view(name).substr(real_time.size()));
    return offset && *offset >= 0 && *offset <= 30 ? SIGRTMIN + static_cast<int>(*offset) : 0;
}

}  // namespace qvd::lxc
