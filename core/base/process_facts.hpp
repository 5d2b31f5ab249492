// What the kernel tells of a process: a number and its start name it for good.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace qvd {

struct ProcessFacts {
    pid_t parent = 0;
    uid_t uid = 0;
    std::uint64_t started = 0;  // clock ticks since boot
    bool has_ended = false;     // only its parent has not looked yet
};

// From /proc; nothing if there is no such process.
[[nodiscard]] std::optional<ProcessFacts> facts_of(pid_t pid);

}  // namespace qvd
