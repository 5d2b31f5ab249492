#include "backend/order.hpp"

#include "backend/folders.hpp"
#include "backend/network.hpp"
#include "common/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

// kexec and modules reach the node's kernel; open_by_handle_at() leads out of any mount.
constexpr std::string_view refused_calls =
    "2\n"
    "denylist\n"
    "reject_force_umount\n"
    "[all]\n"
    "kexec_load errno 1\n"
    "kexec_file_load errno 1\n"
    "open_by_handle_at errno 1\n"
    "init_module errno 1\n"
    "finit_module errno 1\n"
    "delete_module errno 1\n";

constexpr std::string_view hosts_mark = "# Written by QVD at each start";

// The VM's name as a host may be called.
std::string host_name(const sdk::Vm& vm) {
    std::string name;
    for (const char c : vm.name())
        name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '-';
    name = name.substr(0, 63);
    while (!name.empty() && name.front() == '-') name.erase(0, 1);
    while (!name.empty() && name.back() == '-') name.pop_back();
    return name.empty() ? "vm-" + std::to_string(vm.id()) : name;
}

std::string inside(std::string_view target) {
    std::string path(target);
    while (!path.empty() && path.front() == '/') path.erase(0, 1);
    return path.empty() ? "home" : path;
}

// An image's own table stays; ours is made anew, for the VM may have been renamed.
bool has_own_hosts(const RootTree& root) {
    return root.exists("etc/hosts") && !root.begins_with("etc/hosts", hosts_mark) &&
           !root.is_empty("etc/hosts");
}

std::string hosts_of(const sdk::Vm& vm) {
    return std::string(hosts_mark) + "\n127.0.0.1\tlocalhost\n127.0.1.1\t" + host_name(vm) +
           "\n::1\tlocalhost ip6-localhost ip6-loopback\n";
}

std::string name_servers_of(const sdk::Vm& vm) {
    std::string text;
    for (const sdk::Nic nic : vm.nics()) {
        if (!nic.domain().empty()) text.append("search ").append(nic.domain()).append("\n");
        for (const std::string_view server : nic.dns())
            text.append("nameserver ").append(server).append("\n");
    }
    return text.find("nameserver") == std::string::npos ? std::string() : text;
}

void add_network(Fields& order, const sdk::Vm& vm) {
    for (const sdk::Nic nic : vm.nics()) {
        order.add("bridge", nic.bridge());
        order.add("veth", nic.host_device());
        order.add("mac", nic.mac());
        if (nic.mtu() != 0) order.add("mtu", nic.mtu());
        for (const sdk::Address address : nic.addresses()) {
            order.add("address",
                      std::string(address.address()) + "/" + std::to_string(address.prefix()));
            if (!address.gateway().empty()) order.add("gateway", address.gateway());
        }
    }
}

// What the core says, else the VM's property, else the node's setting.
std::int64_t limit_of(const sdk::Vm& vm, std::uint64_t said, const char* key,
                      std::int64_t setting) {
    if (said != 0) return static_cast<std::int64_t>(said);
    const std::string_view own = vm.properties().get(key);
    if (own.empty()) return setting;
    const auto number = parse_number(own);
    if (!number || *number < 0)
        throw sdk::Failure(QVD_INVALID, std::string(key) + " of this VM or its OSF is \"" +
                                            std::string(own) + "\", which is no number");
    return *number;
}

std::string cpuset_of(const sdk::Vm& vm, const Settings& settings) {
    if (!vm.cpuset().empty()) return std::string(vm.cpuset());
    std::string own(vm.properties().get("vm.lxc.cpuset", settings.cpuset));
    if (is_cpuset(own)) return own;
    throw sdk::Failure(QVD_INVALID, "vm.lxc.cpuset of this VM or its OSF is \"" + own +
                                        "\", which is no list such as 0-3,8");
}

void add_limits(Fields& order, const sdk::Vm& vm, const Settings& settings) {
    order.add("memory_mib", static_cast<std::int64_t>(vm.memory_mib()));
    order.add("swap_mib", limit_of(vm, vm.swap_mib(), "vm.lxc.swap", settings.swap_mib));
    order.add("cpu_weight",
              limit_of(vm, vm.cpu_shares(), "vm.lxc.cpu.shares", settings.cpu_shares));
    order.add("cpus", vm.cpus());
    order.add("cpuset", cpuset_of(vm, settings));
    order.add("pids_max", limit_of(vm, 0, "vm.lxc.processes.max", settings.processes_max));
}

void write_root_only(const std::string& path, std::string_view content, unsigned mode) {
    if (!replace_file(path, content, mode))
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot write " + path + ": " + std::strerror(errno));
}

// Of a file that the container is to see: where its root gets to it. Root of the node finds it in
// path.run/vm either way.
std::string given_file(const sdk::Vm& vm, const Settings& settings, const Root& root,
                       const char* suffix, std::string_view content, unsigned mode) {
    std::string own = settings.file_of(vm.id(), suffix);
    write_root_only(own, content, mode);
    if (!root.map) return own;
    make_closed_folder(settings.given_to(vm.id()), root.map->first);
    std::string path = settings.given_to(vm.id()) + "/" + (suffix + 1);
    write_root_only(path, content, mode);
    if (::chown(path.c_str(), root.map->first, root.map->first) != 0)
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "cannot give " + path + " away: " + std::strerror(errno));
    return path;
}

std::string given_home(const sdk::Vm& vm, const Settings& settings, const Root& root,
                       const std::string& home) {
    if (!root.map) return home;
    std::string at = settings.given_to(vm.id()) + "/home";
    make_closed_folder(settings.given_to(vm.id()), root.map->first);
    make_folders(at, 0755);
    if (mount_mapped(home, at, false, *root.map)) return at;
    throw sdk::Failure(QVD_UNAVAILABLE,
                       "cannot mount the home " + home + " at " + at + ": " + std::strerror(errno));
}

void add_files(Fields& order, const sdk::Vm& vm, const Settings& settings, const Root& root) {
    if (root.map) {
        order.add("first_id", root.map->first);
        order.add("ids", root.map->count);
    }
    if (!vm.agent_secret().empty())
        order.add("token", given_file(vm, settings, root, ".token",
                                      std::string(vm.agent_secret().reveal()), 0400));
    if (const auto home = disk_of(vm, QVD_DISK_HOME)) {
        order.add("home_lock", lock_of_home(std::string(home->path())));
        order.add("home", given_home(vm, settings, root, std::string(home->path())));
        order.add("home_target", inside(home->target()));
    }
    if (settings.seccomp == "default") {
        const std::string profile = settings.run + "/seccomp";
        write_root_only(profile, refused_calls, 0600);
        order.add("seccomp", profile);
    } else if (settings.seccomp != "none") {
        order.add("seccomp", settings.seccomp);
    }
    for (const std::string& device : settings.devices) order.add("device", device);
    for (const sdk::Device device : vm.devices()) order.add("device", device.address());
}

// What another VM would see, too, or what cannot be written there, is mounted over it.
void add_shared_root(Fields& order, const sdk::Vm& vm, const Settings& settings,
                     const Root& place) {
    if (place.read_only)
        for (const char* folder : {"run mode=755", "tmp mode=1777", "var/tmp mode=1777"})
            order.add("tmpfs", folder);
    if (!place.shared) return;
    const RootTree root(place.path);
    const auto mount_over = [&](const char* suffix, const std::string& text) {
        if (text.empty()) return;
        const std::string source = given_file(vm, settings, place, suffix, text, 0644);
        order.add("file", source + " etc/" + (suffix + 1));
    };
    mount_over(".hostname", host_name(vm) + "\n");
    if (!has_own_hosts(root)) mount_over(".hosts", hosts_of(vm));
    mount_over(".resolv.conf", name_servers_of(vm));
}

bool has_systemd(const Settings& settings, const RootTree& root) {
    return root.resolve(settings.init).find("/systemd/") != std::string::npos;
}

// systemd shuts down by a signal of its own.
int halt_signal(const Settings& settings, const RootTree& root) {
    if (settings.halt_signal != "auto") return signal_number(settings.halt_signal);
    return signal_number(has_systemd(settings, root) ? "SIGRTMIN+3" : "SIGPWR");
}

// systemd mounts; a lesser init has everything mounted for it.
bool needs_sys_admin(const Settings& settings, const RootTree& root) {
    return settings.sys_admin == "1" ||
           (settings.sys_admin == "auto" && has_systemd(settings, root));
}

void check_devices(const sdk::Vm& vm) {
    for (const sdk::Device device : vm.devices()) {
        const std::string path(device.address());
        if (device.kind() != QVD_DEVICE_NODE)
            throw sdk::Failure(QVD_UNSUPPORTED,
                               "a container cannot be given the device " + path +
                                   ": only device nodes (/dev/...) of this machine");
        if (path.compare(0, 5, "/dev/") != 0 || path.find("..") != std::string::npos)
            throw sdk::Failure(QVD_INVALID, path + " is no path of a device node");
    }
}

}  // namespace

std::optional<sdk::Disk> disk_of(const sdk::Vm& vm, qvd_disk_role role) {
    for (const sdk::Disk disk : vm.disks())
        if (disk.role() == role) return disk;
    return std::nullopt;
}

void check_vm(const sdk::Vm& vm, const Settings& settings) {
    if (vm.id() == 0) throw sdk::Failure(QVD_INVALID, "a VM without a number cannot be started");
    for (const sdk::Disk disk : vm.disks())
        if (disk.role() == QVD_DISK_DATA)
            throw sdk::Failure(QVD_UNSUPPORTED, "a container has no data disks");
    check_devices(vm);
    if (vm.nics().size() > 1)
        throw sdk::Failure(QVD_UNSUPPORTED, "a container has one network card here, not " +
                                                std::to_string(vm.nics().size()));
    for (const sdk::Nic nic : vm.nics()) {
        if (!link_exists(std::string(nic.bridge())))
            throw sdk::Failure(QVD_UNAVAILABLE, "there is no bridge " + std::string(nic.bridge()) +
                                                    " on this node (vm.network.bridge)");
        if (nic.host_device().size() > 15)
            throw sdk::Failure(QVD_INVALID, "the name of the network device " +
                                                std::string(nic.host_device()) + " is too long");
    }
    if (settings.seccomp != "none" && settings.seccomp != "default" && !read_file(settings.seccomp))
        throw sdk::Failure(QVD_INVALID, "cannot read vm.lxc.seccomp.profile " + settings.seccomp);
}

void furnish_image(const std::string& rootfs) {
    const RootTree root(rootfs);
    if (!root.exists("etc/hosts")) root.write("etc", "hosts", "", 0644);
    for (const char* name : {"hostname", "resolv.conf"})
        if (!root.is_file(std::string("etc/") + name)) root.write("etc", name, "", 0644);
    if (!root.is_file("etc/qvd/agent.token")) root.write("etc/qvd", "agent.token", "", 0400);
    root.make("home");
}

void furnish(const sdk::Vm& vm, const Root& place) {
    if (place.shared) return;  // furnish_image() did what there is to do
    const ActingAs its_root(place.map.get());
    const RootTree root(place.path);
    root.write("etc", "hostname", host_name(vm) + "\n", 0644);
    if (!has_own_hosts(root)) root.write("etc", "hosts", hosts_of(vm), 0644);
    const std::string servers = name_servers_of(vm);
    if (!servers.empty()) root.write("etc", "resolv.conf", servers, 0644);
    if (!vm.agent_secret().empty()) root.write("etc/qvd", "agent.token", "", 0400);
    if (const auto home = disk_of(vm, QVD_DISK_HOME)) root.make(inside(home->target()));
}

// Beside it: of a name that is no home's.
std::string lock_of_home(const std::string& home) {
    const std::size_t slash = home.rfind('/') + 1;
    return home.substr(0, slash) + ".lock-" + home.substr(slash);
}

Fields make_order(const sdk::Vm& vm, const Settings& settings, const Root& root) {
    Fields order;
    order.add("vm", static_cast<std::int64_t>(vm.id()));
    order.add("uuid", vm.uuid());
    order.add("incarnation", static_cast<std::int64_t>(vm.incarnation()));
    order.add("container", settings.container_of(vm.id()));
    order.add("run", settings.run);
    order.add("runner", settings.programs + "/qvd-lxc-container");
    order.add("rootfs", root.path);
    order.add("name", host_name(vm));
    order.add("init", settings.init);
    order.add("halt_signal", halt_signal(settings, RootTree(root.path)));
    order.add("sys_admin", needs_sys_admin(settings, RootTree(root.path)) ? 1 : 0);
    // For lxc-console: without it, systemd has a login on the console only, which is pts/0.
    if (has_systemd(settings, RootTree(root.path)))
        order.add("environment", "container_ttys=pts/1");
    order.add("apparmor", settings.apparmor);
    order.add("console_bytes", settings.console_bytes);
    add_limits(order, vm, settings);
    add_network(order, vm);
    add_files(order, vm, settings, root);
    add_shared_root(order, vm, settings, root);
    for (const std::string& line : settings.extra) order.add("extra", line);
    return order;
}

}  // namespace qvd::lxc
