// Running a program and hearing what it says.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace qvd::image {

struct Command {
    std::vector<std::string> arguments;              // the first: the program, looked up in PATH
    std::map<std::string, std::string> environment;  // in place of ours of that name
};

// Waits for its end; `hear` gets each line of both its outputs. Gives the exit status, 128 and more
// for a signal. Errors: image.tool.
Result<int> run_command(const Command& command,
                        const std::function<void(const std::string&)>& hear);

}  // namespace qvd::image
