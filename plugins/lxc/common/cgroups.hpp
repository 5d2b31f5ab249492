// The cgroups of a container, wherever they are mounted: version 1 (a hierarchy for each
// controller), version 2 (one for all), or both at once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::lxc {

// One mounted hierarchy.
struct Hierarchy {
    std::string path;         // of its mount
    std::string controllers;  // "memory", "cpu,cpuacct", "name=systemd"; of version 2 empty
    bool version2 = false;
};

// How this machine has its cgroups.
struct CgroupLayout {
    std::vector<Hierarchy> hierarchies;
    std::string version1;  // the controllers of version 1: ",cpu,cpuacct,memory,"

    // `process`: whose folder in /proc says so.
    static CgroupLayout read(const std::string& process = "/proc/self");
    // True if version 1 has the controller; otherwise it is version 2's.
    [[nodiscard]] bool is_version1(std::string_view controller) const;
};

// Names as liblxc is told them; the limits lie on the payload, the container lives (and has its
// cgroup namespace) one below, in `inner`, so that its root cannot lift them.
std::string payload_cgroup(std::string_view container);  // "lxc.payload.NAME"
std::string monitor_cgroup(std::string_view container);  // "lxc.monitor.NAME"
// Of daemons that keep its files together: "qvd.files.NAME".
std::string files_cgroup(std::string_view container);
inline constexpr std::string_view inner_cgroup = "init";

struct CgroupUsage {
    double cpu_seconds = 0;
    std::int64_t memory_bytes = 0;       // without the page cache that can be dropped
    std::int64_t killed_for_memory = 0;  // processes, since the cgroup was made
};
CgroupUsage usage_of(const std::string& container,
                     const CgroupLayout& layout = CgroupLayout::read());

// Whether a process is in the cgroup of this name, or below it, in any hierarchy.
bool cgroup_is_busy(const std::string& name, const CgroupLayout& layout = CgroupLayout::read());
// Sends KILL to whatever is in the cgroup of this name, and below it, in any hierarchy. Returns how
// many processes it found.
int kill_cgroup(const std::string& name, const CgroupLayout& layout = CgroupLayout::read());
// Removes the cgroup of this name from all hierarchies, with those below; false if one is in use.
bool remove_cgroup(const std::string& name, const CgroupLayout& layout = CgroupLayout::read());
// Moves this process into a top-level cgroup of this name, made if missing, in every hierarchy that
// tracks services (systemd's and version 2), so that the end of the core's own does not end it.
void join_cgroup(const std::string& name, const CgroupLayout& layout = CgroupLayout::read());
// The same with another process; false if there is no such hierarchy, or it would not go.
bool move_to_cgroup(const std::string& name, int pid,
                    const CgroupLayout& layout = CgroupLayout::read());
// Back to the root; the cgroup is removed by whoever leaves it last.
void leave_cgroup(const std::string& name, const CgroupLayout& layout = CgroupLayout::read());

// Takes whatever is in the cgroup off the processors, or puts it back; returns once that is so.
// False with errno; nothing in it: false with ENOENT.
bool freeze_cgroup(const std::string& name, bool frozen,
                   const CgroupLayout& layout = CgroupLayout::read());
bool is_frozen(const std::string& name, const CgroupLayout& layout = CgroupLayout::read());

// Names of top-level cgroups that begin with `prefix`, in any hierarchy, each once.
std::vector<std::string> cgroups_named(std::string_view prefix,
                                       const CgroupLayout& layout = CgroupLayout::read());

}  // namespace qvd::lxc
