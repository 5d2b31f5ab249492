// What a role gives up before it does anything else. One way only; each process for itself.
#pragma once

#include "base/result.hpp"

#include <string>

namespace qvd::supervisor {

struct Confinement {
    std::string user;               // becomes this user, with its groups
    bool system_calls = false;      // may use only what an l7r worker needs
    unsigned long descriptors = 0;  // RLIMIT_NOFILE; 0: as it is
};

// Changes the user, drops every capability for good, forbids new privileges, core files and, if
// asked, all system calls but those of an event loop with sockets. Must run as root. Errors:
// confine.user, confine.failed; the process must then exit.
Result<void> confine(const Confinement& confinement);

// The filter alone. Other calls fail with EPERM; those that only an intruder makes (exec, ptrace,
// mount, ...) kill the process.
Result<void> allow_only_worker_calls();
// False in a sanitizer's build, whose run time needs calls that the filter forbids.
bool filter_available();

}  // namespace qvd::supervisor
