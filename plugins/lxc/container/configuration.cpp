#include "container/configuration.hpp"

#include "common/files.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <string_view>

namespace qvd::lxc {

namespace {

// What root of a desktop's container must not do to the node. What a desktop needs stays: sys_admin
// where the order says so (mounts, systemd), sys_boot (it only ends the container), mknod (the
// device list still holds), net_admin, sys_ptrace, sys_nice, sys_resource, audit_write.
constexpr std::string_view dropped_capabilities =
    "sys_module sys_time sys_rawio sys_pacct mac_admin mac_override syslog wake_alarm "
    "block_suspend audit_read dac_read_search bpf perfmon";

// Reached by everybody, as on any machine: null zero full random urandom tty console ptmx pts.
constexpr std::string_view usual_devices[] = {"c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
                                              "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
                                              "c 5:1 rwm", "c 5:2 rwm", "c 136:* rwm"};

void add_if(Items& items, const std::string& key, const std::string& value) {
    if (!value.empty()) items.emplace_back(key, value);
}

// A path as a mount entry has it, like fstab: blanks as octal numbers.
std::string in_fstab(const std::string& path) {
    std::string escaped;
    for (const char c : path) {
        if (c == ' ') {
            escaped += "\\040";
        } else if (c == '\\') {
            escaped += "\\134";
        } else {
            escaped += c;
        }
    }
    return escaped;
}

void add_basics(Items& items, const Fields& order) {
    items.emplace_back("lxc.uts.name", order.get("name", "vm"));
    items.emplace_back("lxc.rootfs.path", "dir:" + order.get("rootfs"));
    // On itself: liblxc's own folder for it comes with another package, liblxc-common.
    items.emplace_back("lxc.rootfs.mount", order.get("rootfs"));
    items.emplace_back("lxc.init.cmd", order.get("init", "/sbin/init"));
    add_if(items, "lxc.signal.halt", order.get("halt_signal"));
    items.emplace_back("lxc.autodev", "1");
    items.emplace_back("lxc.pty.max", "1024");
    items.emplace_back("lxc.tty.max", order.get("ttys", "1"));
    add_if(items, "lxc.console.path", order.get("terminal"));
    for (const std::string& variable : order.all("environment"))
        items.emplace_back("lxc.environment", variable);
    items.emplace_back("lxc.mount.auto", "proc:mixed sys:ro cgroup:mixed");
    items.emplace_back("lxc.cap.drop", std::string(dropped_capabilities) +
                                           (order.number("sys_admin") == 0 ? " sys_admin" : ""));
    if (const std::string count = order.get("ids"); !count.empty())
        for (const char* const kind : {"u 0 ", "g 0 "}) {
            std::string range = kind;
            range.append(order.get("first_id")).append(" ").append(count);
            items.emplace_back("lxc.idmap", range);
        }
    items.emplace_back("lxc.proc.oom_score_adj", "0");  // the keeper's is not for the desktop
    items.emplace_back("lxc.hook.version", "1");
    add_if(items, "lxc.hook.start-host", order.get("started_hook"));
    add_if(items, "lxc.hook.stop", order.get("ended_hook"));
    add_if(items, "lxc.seccomp.profile", order.get("seccomp"));
}

void add_apparmor(Items& items, const Fields& order, const std::string& enabled) {
    const std::string wanted = order.get("apparmor", "auto");
    const std::string on = read_file(enabled).value_or("N");
    if (wanted != "auto") {
        items.emplace_back("lxc.apparmor.profile", wanted);
    } else if (on.compare(0, 1, "Y") != 0) {
        items.emplace_back("lxc.apparmor.profile", "unconfined");
    } else {  // as the distribution's own containers; nesting is what lets systemd mount
        items.emplace_back("lxc.apparmor.profile", "generated");
        items.emplace_back("lxc.apparmor.allow_nesting", "1");
    }
}

// The limits lie above the cgroup that the container sees as its root (cgroups.hpp).
void add_cgroup_names(Items& items, const Fields& order) {
    const std::string container = order.get("container");
    items.emplace_back("lxc.cgroup.dir.monitor", monitor_cgroup(container));
    items.emplace_back("lxc.cgroup.dir.container", payload_cgroup(container));
    items.emplace_back("lxc.cgroup.dir.container.inner", std::string(inner_cgroup));
}

void add_memory(Items& items, const Fields& order, const CgroupLayout& layout) {
    constexpr std::int64_t mib = 1048576;
    const std::int64_t memory = order.number("memory_mib") * mib;
    const std::int64_t swap = order.number("swap_mib") * mib;
    if (memory <= 0) return;
    if (!layout.is_version1("memory")) {
        items.emplace_back("lxc.cgroup2.memory.max", std::to_string(memory));
        items.emplace_back("lxc.cgroup2.memory.swap.max", std::to_string(swap));
        return;
    }
    items.emplace_back("lxc.cgroup.memory.limit_in_bytes", std::to_string(memory));
    // Without swap accounting in the kernel the file is not there.
    for (const Hierarchy& mount : layout.hierarchies) {
        struct stat found {};
        const std::string file = mount.path + "/memory.memsw.limit_in_bytes";
        if (!mount.version2 && ::stat(file.c_str(), &found) == 0) {
            items.emplace_back("lxc.cgroup.memory.memsw.limit_in_bytes",
                               std::to_string(memory + swap));
            return;
        }
    }
}

void add_cpu(Items& items, const Fields& order, const CgroupLayout& layout) {
    constexpr std::int64_t period = 100000;
    const bool first = layout.is_version1("cpu");
    const std::int64_t weight = std::clamp<std::int64_t>(order.number("cpu_weight", 100), 1, 10000);
    const std::int64_t quota = order.number("cpus") * period;
    if (first) {
        items.emplace_back("lxc.cgroup.cpu.shares",
                           std::to_string(std::max<std::int64_t>(2, weight * 1024 / 100)));
        if (quota > 0) items.emplace_back("lxc.cgroup.cpu.cfs_quota_us", std::to_string(quota));
    } else {
        items.emplace_back("lxc.cgroup2.cpu.weight", std::to_string(weight));
        if (quota > 0)
            items.emplace_back("lxc.cgroup2.cpu.max",
                               std::to_string(quota) + " " + std::to_string(period));
    }
    add_if(items,
           layout.is_version1("cpuset") ? "lxc.cgroup.cpuset.cpus" : "lxc.cgroup2.cpuset.cpus",
           order.get("cpuset"));
    if (order.number("pids_max") > 0)
        items.emplace_back(
            layout.is_version1("pids") ? "lxc.cgroup.pids.max" : "lxc.cgroup2.pids.max",
            order.get("pids_max"));
}

void add_devices(Items& items, const Fields& order, const CgroupLayout& layout) {
    const std::string prefix =
        layout.is_version1("devices") ? "lxc.cgroup.devices." : "lxc.cgroup2.devices.";
    items.emplace_back(prefix + "deny", "a");
    items.emplace_back(prefix + "allow", "c *:* m");  // making a node is not opening it
    items.emplace_back(prefix + "allow", "b *:* m");
    for (const std::string_view device : usual_devices)
        items.emplace_back(prefix + "allow", std::string(device));
    for (const std::string& path : order.all("device")) {
        struct stat node {};
        if (::stat(path.c_str(), &node) != 0 || !(S_ISCHR(node.st_mode) || S_ISBLK(node.st_mode)))
            continue;
        items.emplace_back(prefix + "allow", std::string(S_ISCHR(node.st_mode) ? "c " : "b ") +
                                                 std::to_string(major(node.st_rdev)) + ":" +
                                                 std::to_string(minor(node.st_rdev)) + " rwm");
        items.emplace_back("lxc.mount.entry", in_fstab(path) + " " + in_fstab(path.substr(1)) +
                                                  " none bind,create=file,optional 0 0");
    }
}

void add_network(Items& items, const Fields& order) {
    if (order.get("bridge").empty()) {
        items.emplace_back("lxc.net.0.type", "empty");
        return;
    }
    items.emplace_back("lxc.net.0.type", "veth");
    items.emplace_back("lxc.net.0.name", "eth0");
    items.emplace_back("lxc.net.0.flags", "up");
    items.emplace_back("lxc.net.0.link", order.get("bridge"));
    add_if(items, "lxc.net.0.veth.pair", order.get("veth"));
    add_if(items, "lxc.net.0.hwaddr", order.get("mac"));
    add_if(items, "lxc.net.0.mtu", order.get("mtu"));
    const auto version = [](const std::string& address) {
        return std::string(address.find(':') == std::string::npos ? "ipv4" : "ipv6");
    };
    for (const std::string& address : order.all("address"))
        items.emplace_back("lxc.net.0." + version(address) + ".address", address);
    for (const std::string& gateway : order.all("gateway"))
        items.emplace_back("lxc.net.0." + version(gateway) + ".gateway", gateway);
}

void add_mounts(Items& items, const Fields& order) {
    items.emplace_back("lxc.mount.entry",
                       "tmpfs dev/shm tmpfs rw,nosuid,nodev,mode=1777,create=dir 0 0");
    if (const std::string token = order.get("token"); !token.empty())
        items.emplace_back("lxc.mount.entry",
                           in_fstab(token) + " etc/qvd/agent.token none bind,ro,create=file 0 0");
    for (const std::string& file : order.all("file")) {  // "SOURCE TARGET"
        const std::size_t blank = file.find(' ');
        items.emplace_back("lxc.mount.entry", in_fstab(file.substr(0, blank)) + " " +
                                                  in_fstab(file.substr(blank + 1)) +
                                                  " none bind,ro 0 0");
    }
    for (const std::string& folder : order.all("tmpfs")) {  // "TARGET OPTIONS"
        const std::size_t blank = folder.find(' ');
        items.emplace_back("lxc.mount.entry", "tmpfs " + in_fstab(folder.substr(0, blank)) +
                                                  " tmpfs rw,nosuid,nodev,optional," +
                                                  folder.substr(blank + 1) + " 0 0");
    }
    if (const std::string home = order.get("home"); !home.empty())
        items.emplace_back("lxc.mount.entry", in_fstab(home) + " " +
                                                  in_fstab(order.get("home_target", "home")) +
                                                  " none bind,create=dir 0 0");
}

// The operator's own lines come last, so that they win.
void add_extra(Items& items, const Fields& order) {
    for (const std::string& line : order.all("extra")) {
        const std::size_t equals = line.find('=');
        if (equals == std::string::npos) continue;
        const auto trimmed = [](std::string text) {
            text.erase(0, text.find_first_not_of(" \t"));
            text.erase(text.find_last_not_of(" \t") + 1);
            return text;
        };
        items.emplace_back(trimmed(line.substr(0, equals)), trimmed(line.substr(equals + 1)));
    }
}

}  // namespace

Items configuration(const Fields& order, const CgroupLayout& layout, const std::string& apparmor) {
    Items items;
    add_basics(items, order);
    add_apparmor(items, order, apparmor);
    add_cgroup_names(items, order);
    add_memory(items, order, layout);
    add_cpu(items, order, layout);
    add_devices(items, order, layout);
    add_network(items, order);
    add_mounts(items, order);
    add_extra(items, order);
    return items;
}

}  // namespace qvd::lxc
