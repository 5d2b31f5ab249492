// What it takes to run another program: is it there, its environment, its arguments.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace qvd::program {

// Whether `name`, a path or looked up in PATH, can be run.
[[nodiscard]] bool is_there(const std::string& name);

// "NAME=value" of this process's environment, with `changed` added or in place of its own, and
// nothing of `without`.
[[nodiscard]] std::vector<std::string> environment_with(
    const std::map<std::string, std::string>& changed, const std::set<std::string>& without = {});

// For exec and posix_spawn: null at the end; valid as long as `texts` is not changed.
[[nodiscard]] std::vector<char*> pointers_to(std::vector<std::string>& texts);

}  // namespace qvd::program
