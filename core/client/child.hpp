// Starting nxproxy.
#pragma once

#include "base/result.hpp"

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace qvd::client {

struct ChildSettings {
    std::vector<std::string> arguments;              // the first: the program, looked up in PATH
    std::map<std::string, std::string> environment;  // added to ours, or in place of it
    std::set<std::string> without;                   // names of ours that it must not see
    std::string output_file;                         // created 0600; both outputs go there
};

// Whether `name`, a path or looked up in PATH, can be run. Errors: display.nxproxy.
Result<void> find_program(const std::string& name);

// In a process group of its own (a Ctrl-C on the terminal is ours to handle), with no signal
// blocked, and nothing to read. The caller waits for it. Errors: display.nxproxy.
Result<pid_t> start_child(const ChildSettings& settings);

}  // namespace qvd::client
