// Running a program and hearing what it says.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace qvd::image {

struct Command {
    std::vector<std::string> arguments;  // the first: the program, looked up in PATH
    std::map<std::string, std::string> environment = {};  // in place of ours of that name
    // Root only: with processes and mounts of its own. What it mounts nobody else sees, and mounts
    // and processes are gone when it has ended, or this process has, however that comes about.
    bool apart = false;
    // Readable: stop it; -1: nobody does.
    int stop_fd = -1;
};

// Waits for its end; `hear` gets each line of both its outputs. Gives the exit status, 128 and more
// for a signal. Errors: image.tool; cancelled "stopped".
Result<int> run_command(const Command& command,
                        const std::function<void(const std::string&)>& hear);

// The arguments that start it, with what keeps it apart in front.
std::vector<std::string> started_as(const Command& command);

}  // namespace qvd::image
