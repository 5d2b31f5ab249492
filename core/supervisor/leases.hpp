// The last resort of fencing: the control group of a VM whose storage lock hkd no longer renews is
// killed before another node may take the lock.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace qvd::supervisor {

using Leases = std::map<std::string, std::uint64_t>;  // cgroup → CLOCK_BOOTTIME in ms

std::uint64_t boottime_ms();

// Only groups of ours: an absolute path below `root` with "qvd" in it and no way out. Errors:
// lease.cgroup.
Result<void> check_cgroup(const std::string& cgroup, const std::string& root = "/sys/fs/cgroup");

// Kills every process of the group and of those below it, with cgroup.kill or one by one.
Result<void> kill_cgroup(const std::string& cgroup);

// Kills the groups whose lease has run out at `now_ms` and forgets them.
void enforce_leases(Leases& leases, std::uint64_t now_ms);

}  // namespace qvd::supervisor
