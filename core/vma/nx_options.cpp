#include "vma/nx_options.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <algorithm>
#include <array>

namespace qvd::vma {

namespace {

constexpr std::string_view letters_and_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

bool consists_of(std::string_view text, std::string_view further) {
    return std::ranges::all_of(text, [further](char c) {
        return letters_and_digits.find(c) != std::string_view::npos ||
               further.find(c) != std::string_view::npos;
    });
}

struct Wish {
    std::string_view option;     // of nxagent
    std::string_view parameter;  // qvd.client.*
};
constexpr std::array<Wish, 5> wishes{{
    {"keyboard", "keyboard"},
    {"client", "os"},
    {"link", "link"},
    {"geometry", "geometry"},
    {"fullscreen", "fullscreen"},
}};

std::string value_of(const agent::Parameters& session, std::string_view name) {
    const auto found = session.find("qvd.client." + std::string(name));
    return found == session.end() ? std::string{} : found->second;
}

bool is_on(const agent::Parameters& session, std::string_view name) {
    const std::string value = value_of(session, name);
    return !value.empty() && value != "0";
}

Error bad_parameter(std::string_view name, std::string_view value) {
    return {ErrorKind::invalid, "vma.parameter",
            "the parameter qvd.client." + std::string(name) +
                " has a value that is not allowed: " + text::quoted(value, 80)};
}

// QVD's own default names a layout that xkb-data does not have.
std::string keyboard_that_exists(const std::string& keyboard) {
    return keyboard.ends_with("/en") ? keyboard.substr(0, keyboard.size() - 2) + "us" : keyboard;
}

// What the administrator decides (vma.*.enable), what makes the line read another file, and what
// writes to one.
bool is_reserved(std::string_view option) {
    static constexpr std::array<std::string_view, 21> reserved{
        "keyboard", "client", "link",    "geometry", "fullscreen", "media", "slave",
        "cups",     "smb",    "options", "state",    "errors",     "log",   "stats",
        "display",  "listen", "accept",  "connect",  "cookie",     "root",  "session",
    };
    return std::ranges::find(reserved, option) != reserved.end();
}

Result<std::string> extra_options(const agent::Parameters& session) {
    const std::string wanted = value_of(session, "nxagent.extra_args");
    if (!consists_of(wanted, "_/+=,.-")) return bad_parameter("nxagent.extra_args", wanted);
    std::string taken;
    for (const std::string& option : text::split_list(wanted)) {
        if (is_reserved(text::lower(option.substr(0, option.find('=')))))
            log::warn("vma.option.ignored", {{"option", option}},
                      "a client may not set this option of nxagent");
        else
            taken += "," + option;
    }
    return taken;
}

// "Windows" is what upstream's oldest clients say, winnt what Qt does.
bool is_windows(const agent::Parameters& session) {
    const std::string os = text::lower(value_of(session, "os"));
    return os == "windows" || os == "winnt" || os == "mswin32";
}

// What the client asks for, otherwise what the administrator set in its place.
std::string wished(const agent::Parameters& session, const Settings& settings,
                   std::string_view parameter) {
    std::string value = value_of(session, parameter);
    if (!value.empty()) return value;
    const auto found = settings.client_defaults.find(parameter);
    return found == settings.client_defaults.end() ? std::string{} : found->second;
}

}  // namespace

Result<std::string> nx_options(const agent::Parameters& session, const Settings& settings) {
    std::string line = "nx/nx";
    for (const auto& [option, parameter] : wishes) {
        std::string value = wished(session, settings, parameter);
        if (value.empty()) continue;
        if (!consists_of(value, "_/+-")) return bad_parameter(parameter, value);
        if (option == "keyboard") value = keyboard_that_exists(value);
        line += "," + std::string(option) + "=" + value;
    }
    if (settings.audio) line += ",media=1";
    if (settings.slave) line += ",slave=1";
    QVD_TRY(const std::string extra, extra_options(session));
    line += extra;
    if (settings.printing && is_on(session, "printing.enabled"))
        line += std::string(is_windows(session) ? ",smb=" : ",cups=") +
                std::to_string(2000 + settings.display);
    return line + ":" + std::to_string(settings.display) + "\n";
}

}  // namespace qvd::vma
