// One supervisor per path.run: its pid file is locked for as long as it lives, also across the
// re-execution of a reload.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <string>

namespace qvd::supervisor {

// Locks `path` and writes this process's pid into it. Errors: node.runs_already.
Result<UniqueFd> lock_pid_file(const std::string& path);

}  // namespace qvd::supervisor
