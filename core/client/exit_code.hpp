// What qvdclient's exit status says.
#pragma once

#include "base/error.hpp"

#include <string>

namespace qvd::client {

enum class ExitCode : int {
    done = 0,         // the session ended, or the list was shown
    internal = 1,     // none of the following
    usage = 2,        // a wrong option or configuration file
    network = 3,      // the server cannot be reached, or the connection broke
    certificate = 4,  // the server's certificate was not accepted
    login = 5,        // wrong user or password
    vm = 6,           // no virtual machine, no such one, or several and none chosen
    server = 7,       // the server refuses or cannot give the session
    display = 8,      // no X display, or nxproxy failed
    stopped = 9,      // stopped by a signal before the session was up
};

// By the first word of the error's code.
[[nodiscard]] ExitCode exit_code_of(const Error& error);
// "  0  the session ended\n ...", for --help.
[[nodiscard]] std::string exit_code_table();

}  // namespace qvd::client
