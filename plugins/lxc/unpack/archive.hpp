// Unpacking a disk image's archive below the current directory, which is this process's root.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace qvd::lxc {

struct UnpackLimits {
    std::uint64_t bytes = 0;  // of all files together
    std::uint64_t entries = 0;
};

struct UnpackResult {
    bool ok = false;
    // Why not: "unreadable" (no archive, damaged, cut off), "unsafe" (an entry that no image has a
    // use for), "too-big", "layout" (neither of the two layouts), "system" (disk full, ...).
    std::string code;
    std::string sentence;
    std::string layout;  // "basic": the archive is the root; "extended": its directory rootfs is
    std::uint64_t bytes = 0;
    std::uint64_t entries = 0;
    std::uint64_t skipped = 0;  // device nodes below dev/, which the container gets otherwise
};

// Takes gzip, xz, zstd, bzip2 or no compression, told from the content. `progress` is called now
// and then with the bytes of `archive_fd` that were read.
UnpackResult unpack(int archive_fd, const UnpackLimits& limits,
                    const std::function<void(std::uint64_t)>& progress);

// The path without "./" and "/" at its ends; empty if it is the root itself. False if it is
// absolute or climbs ("..").
bool safe_path(const std::string& path, std::string& clean);
// Whether a symbolic link at `path` with this target stays below the root. An absolute target does:
// it means the VM's root, as ".." may not do.
bool safe_target(const std::string& path, const std::string& target);

}  // namespace qvd::lxc
