#include "common/cgroups.hpp"

#include "common/fields.hpp"
#include "common/files.hpp"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <functional>
#include <memory>
#include <sstream>

namespace qvd::lxc {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

// Names of the directories in `path`.
std::vector<std::string> directories_in(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
    if (!directory) return names;
    while (const dirent* entry = ::readdir(directory.get())) {
        const std::string_view name = entry->d_name;
        if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
    }
    return names;
}

// A number behind `key` in lines "key number", such as memory.stat; the whole if there is no key.
std::int64_t number_in(const std::string& path, std::string_view key = {}) {
    std::istringstream lines(read_file(path).value_or(std::string()));
    std::string name;
    std::int64_t value = 0;
    if (key.empty()) return lines >> value ? value : 0;
    while (lines >> name >> value)
        if (name == key) return value;
    return 0;
}

bool exists(const std::string& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0;
}

// NOLINTNEXTLINE(misc-no-recursion): cgroups are a tree, a shallow one
int kill_below(const std::string& path) {
    int found = 0;
    std::istringstream pids(read_file(path + "/cgroup.procs").value_or(std::string()));
    for (pid_t pid = 0; pids >> pid;) {
        if (pid <= 1) continue;
        ++found;
        ::kill(pid, SIGKILL);
    }
    for (const std::string& name : directories_in(path)) found += kill_below(path + "/" + name);
    return found;
}

// NOLINTNEXTLINE(misc-no-recursion)
bool busy_below(const std::string& path) {
    if (!read_file(path + "/cgroup.procs").value_or(std::string()).empty()) return true;
    for (const std::string& name : directories_in(path))  // NOLINT(readability-use-anyofallof)
        if (busy_below(path + "/" + name)) return true;
    return false;
}

// NOLINTNEXTLINE(misc-no-recursion)
bool remove_below(const std::string& path) {
    for (const std::string& name : directories_in(path))
        if (!remove_below(path + "/" + name)) return false;
    return ::rmdir(path.c_str()) == 0 || errno == ENOENT;
}

bool lists(const std::string& controllers, std::string_view wanted) {
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');)
        if (name == wanted) return true;
    return false;
}

}  // namespace

CgroupLayout CgroupLayout::read(const std::string& process) {
    CgroupLayout layout;
    std::istringstream mounts(read_file(process + "/mounts").value_or(std::string()));
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string source;
        Hierarchy mount;
        std::string type;
        words >> source >> mount.path >> type >> mount.controllers;
        if (type != "cgroup" && type != "cgroup2") continue;
        mount.version2 = type == "cgroup2";
        if (mount.version2) mount.controllers.clear();
        layout.hierarchies.push_back(mount);
    }
    layout.version1 = ",";
    std::istringstream own(read_file(process + "/cgroup").value_or(std::string()));
    for (std::string line; std::getline(own, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second != std::string::npos)
            layout.version1 += line.substr(first + 1, second - first - 1) + ",";
    }
    return layout;
}

bool CgroupLayout::is_version1(std::string_view controller) const {
    return version1.find("," + std::string(controller) + ",") != std::string::npos;
}

std::string payload_cgroup(std::string_view container) {
    return std::string("lxc.payload.").append(container);
}
std::string monitor_cgroup(std::string_view container) {
    return std::string("lxc.monitor.").append(container);
}

std::string files_cgroup(std::string_view container) {
    return std::string("qvd.files.").append(container);
}

CgroupUsage usage_of(const std::string& container, const CgroupLayout& layout) {
    CgroupUsage usage;
    for (const Hierarchy& mount : layout.hierarchies) {
        const std::string at = mount.path + "/" + payload_cgroup(container);
        if (mount.version2 && exists(at + "/memory.current")) {
            usage.memory_bytes =
                number_in(at + "/memory.current") - number_in(at + "/memory.stat", "inactive_file");
            usage.killed_for_memory = number_in(at + "/memory.events", "oom_kill");
        }
        if (mount.version2 && !layout.is_version1("cpuacct"))
            usage.cpu_seconds =
                static_cast<double>(number_in(at + "/cpu.stat", "usage_usec")) / 1e6;
        if (lists(mount.controllers, "memory")) {
            usage.memory_bytes = number_in(at + "/memory.usage_in_bytes") -
                                 number_in(at + "/memory.stat", "total_inactive_file");
            for (const std::string& below : {std::string(), "/" + std::string(inner_cgroup)})
                usage.killed_for_memory +=
                    number_in(at + below + "/memory.oom_control", "oom_kill");
        }
        if (lists(mount.controllers, "cpuacct"))
            usage.cpu_seconds = static_cast<double>(number_in(at + "/cpuacct.usage")) / 1e9;
    }
    usage.memory_bytes = std::max<std::int64_t>(usage.memory_bytes, 0);
    return usage;
}

bool cgroup_is_busy(const std::string& name, const CgroupLayout& layout) {
    return std::any_of(
        layout.hierarchies.begin(), layout.hierarchies.end(),
        [&name](const Hierarchy& mount) { return busy_below(mount.path + "/" + name); });
}

int kill_cgroup(const std::string& name, const CgroupLayout& layout) {
    int found = 0;
    for (const Hierarchy& mount : layout.hierarchies) {
        const std::string at = mount.path + "/" + name;
        if (mount.version2) write_to(at + "/cgroup.kill", "1");
        found = std::max(found, kill_below(at));
    }
    return found;
}

bool remove_cgroup(const std::string& name, const CgroupLayout& layout) {
    bool all = true;
    for (const Hierarchy& mount : layout.hierarchies)
        all = remove_below(mount.path + "/" + name) && all;
    return all;
}

void join_cgroup(const std::string& name, const CgroupLayout& layout) {
    move_to_cgroup(name, 0, layout);
}

bool move_to_cgroup(const std::string& name, int pid, const CgroupLayout& layout) {
    bool moved = false;
    for (const Hierarchy& mount : layout.hierarchies) {
        if (!mount.version2 && !lists(mount.controllers, "name=systemd")) continue;
        ::mkdir((mount.path + "/" + name).c_str(), 0755);
        if (write_to(mount.path + "/" + name + "/cgroup.procs", std::to_string(pid))) moved = true;
    }
    return moved;
}

void leave_cgroup(const std::string& name, const CgroupLayout& layout) {
    for (const Hierarchy& mount : layout.hierarchies) {
        if (!mount.version2 && !lists(mount.controllers, "name=systemd")) continue;
        write_to(mount.path + "/cgroup.procs", "0");
        ::rmdir((mount.path + "/" + name).c_str());
    }
}

namespace {

// Where a cgroup of this name is frozen: version 1 has a controller for it, version 2 always can.
std::string freezer_of(const std::string& name, const CgroupLayout& layout, bool& version2) {
    version2 = !layout.is_version1("freezer");
    for (const Hierarchy& mount : layout.hierarchies)
        if (version2 ? mount.version2 : lists(mount.controllers, "freezer"))
            return mount.path + "/" + name;
    return {};
}

bool is_frozen_at(const std::string& at, bool version2) {
    if (version2) return number_in(at + "/cgroup.events", "frozen") == 1;
    return read_file(at + "/freezer.state").value_or(std::string()) == "FROZEN\n";
}

}  // namespace

bool freeze_cgroup(const std::string& name, bool frozen, const CgroupLayout& layout) {
    constexpr int tries = 500;
    constexpr timespec between{0, 10'000'000};
    bool version2 = false;
    const std::string at = freezer_of(name, layout, version2);
    if (at.empty() || !exists(at)) {
        errno = ENOENT;
        return false;
    }
    const char* const word = version2 ? (frozen ? "1" : "0") : (frozen ? "FROZEN" : "THAWED");
    for (int i = 0; i < tries; ++i) {
        // Version 1 may have to be told again while processes are being made.
        if (!write_to(at + (version2 ? "/cgroup.freeze" : "/freezer.state"), word)) return false;
        if (is_frozen_at(at, version2) == frozen) return true;
        ::nanosleep(&between, nullptr);
    }
    errno = ETIMEDOUT;
    return false;
}

bool is_frozen(const std::string& name, const CgroupLayout& layout) {
    bool version2 = false;
    const std::string at = freezer_of(name, layout, version2);
    return !at.empty() && exists(at) && is_frozen_at(at, version2);
}

std::vector<std::string> cgroups_named(std::string_view prefix, const CgroupLayout& layout) {
    std::vector<std::string> names;
    for (const Hierarchy& mount : layout.hierarchies)
        for (const std::string& name : directories_in(mount.path))
            if (name.compare(0, prefix.size(), prefix) == 0) names.push_back(name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
}

}  // namespace qvd::lxc
