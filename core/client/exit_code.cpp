#include "client/exit_code.hpp"

#include <array>
#include <string_view>

namespace qvd::client {
namespace {

struct Row {
    ExitCode code;
    std::string_view family;   // the error codes' first word
    std::string_view meaning;  // empty: the row before says it
};

constexpr std::array rows{
    Row{ExitCode::done, "", "the session ended, or the list was shown"},
    Row{ExitCode::internal, "internal", "an error that none of the following covers"},
    Row{ExitCode::usage, "usage", "a wrong option or configuration file"},
    Row{ExitCode::usage, "config", ""},
    Row{ExitCode::network, "network", "the server cannot be reached, or the connection broke"},
    Row{ExitCode::certificate, "certificate", "the server's certificate was not accepted"},
    Row{ExitCode::login, "login", "the server does not accept user and password"},
    Row{ExitCode::vm, "vm", "no virtual machine, no such one, or several and none chosen"},
    Row{ExitCode::server, "server", "the server refuses the session or cannot give it now"},
    Row{ExitCode::display, "display", "no X display, or nxproxy failed"},
    Row{ExitCode::stopped, "stopped", "stopped by a signal before the session was up"},
};

}  // namespace

ExitCode exit_code_of(const Error& error) {
    const std::string_view family =
        std::string_view(error.code()).substr(0, error.code().find('.'));
    for (const Row& row : rows)
        if (row.family == family) return row.code;
    return ExitCode::internal;
}

std::string exit_code_table() {
    std::string table;
    for (const Row& row : rows) {
        if (row.meaning.empty()) continue;
        table += "  " + std::to_string(static_cast<int>(row.code)) + "  ";
        table += std::string(row.meaning) + "\n";
    }
    return table;
}

}  // namespace qvd::client
