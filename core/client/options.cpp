#include "client/options.hpp"

#include "base/text.hpp"
#include "client/exit_code.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

namespace qvd::client {
namespace {

struct Option {
    char letter;  // '\0': none
    std::string_view name;
    std::string_view value;  // what it takes, for the help; empty: nothing
    std::string_view meaning;
    Result<void> (*apply)(Options& options, char* value);
};

Error bad_option(const std::string& what) {
    return {ErrorKind::invalid, "usage.option", what + " (qvdclient --help lists the options)"};
}

template <bool Options::*flag>
Result<void> set(Options& options, char* /*value*/) {
    options.*flag = true;
    return {};
}

template <std::optional<std::string> Options::*member>
Result<void> keep(Options& options, char* value) {
    options.*member = value;
    return {};
}

Result<void> keep_password(Options& options, char* value) {
    if (std::strcmp(value, "-") == 0) {
        options.password_on_stdin = true;
        return {};
    }
    options.password = Secret{value};
    std::memset(value, '*', std::strlen(value));
    return {};
}

Result<void> keep_vm(Options& options, char* value) {
    const auto id = text::to_integer(value);
    if (!id || *id <= 0)
        return bad_option("-s wants the number of a machine, not \"" + std::string(value) + "\"");
    options.vm = *id;
    return {};
}

constexpr std::array options_table{
    Option{'?', "help", "", "show this help and exit", set<&Options::help>},
    Option{'v', "version", "", "show the version and exit", set<&Options::version>},
    Option{'d', "debug", "", "write what happens, in detail, to standard error",
           set<&Options::debug>},
    Option{'h', "host", "HOST", "the server, also HOST:PORT", keep<&Options::host>},
    Option{'p', "port", "PORT", "its port (8443)", keep<&Options::port>},
    Option{'u', "user", "USER", "the login", keep<&Options::user>},
    Option{'w', "password", "PASS", "the password, \"-\": from standard input (see QVDPASSWORD)",
           keep_password},
    Option{'g', "geometry", "WxH", "size of the desktop, such as 1024x768 (the screen's)",
           keep<&Options::geometry>},
    Option{'f', "fullscreen", "", "over the whole screen, without border",
           set<&Options::fullscreen>},
    Option{'l', "list", "", "only list the virtual machines", set<&Options::list>},
    Option{'o', "one-vm", "", "connect to the first virtual machine", set<&Options::first>},
    Option{'s', "vm", "ID", "connect to the virtual machine with this number", keep_vm},
    Option{'r', "restart", "", "stop the virtual machine first", set<&Options::restart>},
    Option{'n', "no-strict", "", "do not check the server's certificate",
           set<&Options::any_certificate>},
    Option{'x', "nx-options", "OPTIONS", "NX options, such as nx/nx,data=0,cache=16384:0",
           keep<&Options::nx_options>},
    Option{'c', "cert", "FILE", "the client's own certificate (PEM); needs -k",
           keep<&Options::certificate_file>},
    Option{'k', "key", "FILE", "its key (PEM); needs -c", keep<&Options::key_file>},
    Option{'\0', "json", "", "print JSON, one object a line, and ask no question",
           set<&Options::json>},
};

const Option* by_letter(char letter) {
    const auto* found = std::find_if(options_table.begin(), options_table.end(),
                                     [letter](const Option& one) { return one.letter == letter; });
    return found == options_table.end() ? nullptr : found;
}

const Option* by_name(std::string_view name) {
    const auto* found = std::find_if(options_table.begin(), options_table.end(),
                                     [name](const Option& one) { return one.name == name; });
    return found == options_table.end() ? nullptr : found;
}

// The arguments, taken one after the other.
class Reader {
public:
    explicit Reader(std::span<char*> arguments) : arguments_(arguments) {}

    Result<Options> read() {
        while (at_ < arguments_.size()) {
            QVD_CHECK(read_one(arguments_[at_++]));
        }
        return options_;
    }

private:
    Result<void> read_one(char* argument) {
        const std::string_view text = argument;
        if (text.starts_with("--")) return read_long(argument + 2);
        if (text.starts_with('-') && text.size() > 1) return read_short(argument + 1);
        return bad_option("\"" + std::string(text) + "\" is no option");
    }

    Result<void> read_long(char* text) {
        char* equals = std::strchr(text, '=');
        const std::string name = equals == nullptr ? text : std::string(text, equals);
        const Option* option = by_name(name);
        if (option == nullptr) return unknown(name);
        if (option->value.empty() && equals != nullptr)
            return bad_option("--" + name + " takes no value");
        return apply(*option, equals == nullptr ? nullptr : equals + 1);
    }

    Result<void> read_short(char* letters) {
        for (; *letters != '\0'; ++letters) {
            const Option* option = by_letter(*letters);
            if (option == nullptr)
                return bad_option("there is no option -" + std::string(1, *letters));
            if (option->value.empty()) {
                QVD_CHECK(option->apply(options_, nullptr));
                continue;
            }
            return apply(*option, letters[1] == '\0' ? nullptr : letters + 1);
        }
        return {};
    }

    // `attached`: the value that stands in the same argument, if one does.
    Result<void> apply(const Option& option, char* attached) {
        if (option.value.empty() || attached != nullptr) return option.apply(options_, attached);
        if (at_ == arguments_.size())
            return bad_option("--" + std::string(option.name) + " wants " +
                              std::string(option.value));
        return option.apply(options_, arguments_[at_++]);
    }

    static Result<void> unknown(const std::string& name) {
        std::vector<std::string> names;
        names.reserve(options_table.size());
        for (const Option& option : options_table) names.emplace_back(option.name);
        const std::string near = text::nearest(name, names);
        return bad_option("there is no option --" + name +
                          (near.empty() ? "" : "; did you mean --" + near + "?"));
    }

    std::span<char*> arguments_;
    std::size_t at_ = 0;
    Options options_;
};

std::string help_line(const Option& option) {
    std::string line = option.letter == '\0' ? "    " : "-" + std::string(1, option.letter) + ", ";
    line += "--" + std::string(option.name);
    if (!option.value.empty()) line += " " + std::string(option.value);
    constexpr std::size_t column = 28;
    line.append(line.size() < column ? column - line.size() : 1, ' ');
    return "  " + line + std::string(option.meaning) + "\n";
}

}  // namespace

Result<Options> parse_options(std::span<char*> arguments) {
    QVD_TRY(Options options, Reader(arguments).read());
    if (options.certificate_file.has_value() != options.key_file.has_value())
        return bad_option("-c and -k need each other");
    if (options.first && options.vm) return bad_option("-o and -s exclude each other");
    return options;
}

std::string usage() {
    std::string text =
        "Usage: qvdclient -h HOST -u USER [options]\n"
        "Shows your virtual desktop on this X display.\n\nOptions:\n";
    for (const Option& option : options_table) text += help_line(option);
    text +=
        "\nThe password of -w is overwritten at once, yet others may see it for an instant:\n"
        "better QVDPASSWORD, standard input, or the prompt.\n"
        "\nEnvironment:\n"
        "  QVDHOST, QVDPORT, QVDLOGIN, QVDPASSWORD   as -h, -p, -u, -w, which go before\n"
        "  QVD_DEBUG        set to anything: as -d\n"
        "  QVD_DEBUG_FILE   where to write the log\n"
        "  DISPLAY          the X display to use\n"
        "\nFiles: /etc/qvd/client.conf, then ~/.qvd/client.conf; ~/.qvd/certs (more certificate\n"
        "authorities), ~/.qvd/accepted_certs.json (certificates you accepted for good)\n"
        "\nExit status:\n";
    return text + exit_code_table();
}

}  // namespace qvd::client
