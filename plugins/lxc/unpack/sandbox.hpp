// Everything that this process gives up before it reads the first byte of a foreign archive.
#pragma once

#include <cstdint>
#include <string>

namespace qvd::lxc {

struct SandboxLimits {
    std::uint64_t file_bytes = 0;    // of one file
    std::uint64_t memory_bytes = 0;  // address space
};

// Makes `target` this process's root directory, without network, with the capabilities that
// unpacking needs and a list of system calls. `keep_fd` stays open, beside 0 to 2. What could not
// be done, as a sentence; empty: all of it.
std::string enter_sandbox(const std::string& target, int keep_fd, const SandboxLimits& limits);

}  // namespace qvd::lxc
