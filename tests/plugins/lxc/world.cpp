#include "world.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace qvd::test {

namespace fs = std::filesystem;

namespace {

void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

// A network of its own needs a /sys of its own, where liblxc looks for bridges; the cgroups stay.
bool move_to_own_namespaces() {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
    ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    const auto cgroups = static_cast<int>(
        ::syscall(SYS_open_tree, AT_FDCWD, "/sys/fs/cgroup", OPEN_TREE_CLONE | AT_RECURSIVE));
    if (cgroups < 0 || ::mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0) return false;
    const bool moved = ::syscall(SYS_move_mount, cgroups, "", AT_FDCWD, "/sys/fs/cgroup",
                                 MOVE_MOUNT_F_EMPTY_PATH) == 0;
    ::close(cgroups);
    return moved;
}

// Before main(): once for the whole process, while it has one thread.
struct Node {
    Node() {
        if (::geteuid() != 0) skip_all("containers need root");
        if (!exists("/bin/busybox")) skip_all("the tests' image needs busybox-static");
        if (!move_to_own_namespaces()) skip_all("this machine allows no namespaces of our own");
        // Unpacking ends with a flush of the whole file system: not of everybody's on this machine.
        if (::mount("tmpfs", "/mnt", "tmpfs", 0, "mode=755") != 0)
            skip_all("this machine cannot mount a tmpfs");
        if (kind() == "btrfs" &&
            std::system("truncate -s 2G /mnt/disk && mkfs.btrfs -q /mnt/disk >/dev/null 2>&1 &&"
                        " mkdir /mnt/btrfs && mount -o loop /mnt/disk /mnt/btrfs 2>/dev/null") != 0)
            skip_all("this machine cannot mount a btrfs from a file");
        for (const char* type : {"unionfs-fuse", "fuse-overlayfs"})
            if (kind() == type &&
                (!exists(std::string("/usr/bin/") + type) || !exists("/dev/fuse")))
                skip_all("this machine has no " + kind());
        if (std::system("ip link set lo up && ip link add qvdtest0 type bridge &&"
                        " ip addr add 10.91.7.1/24 dev qvdtest0 && ip link set qvdtest0 up") != 0)
            skip_all("this machine cannot make a bridge");
    }
};
const Node node;

constexpr const char* inittab =
    "::sysinit:/bin/mkdir -p /var/www\n"
    "::sysinit:/sbin/boot\n"
    "::respawn:/bin/httpd -f -p 8080 -h /var/www\n";

void fill_busybox(const std::string& root) {
    for (const char* folder :
         {"bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "run", "home", "root", "var/www"})
        fs::create_directories(root + "/" + folder);
    fs::copy_file("/bin/busybox", root + "/bin/busybox");
    for (const char* name : {"sh", "mkdir", "httpd", "cat", "echo", "hostname", "ip", "mount",
                             "mknod", "dd", "head", "sleep", "poweroff", "reboot", "touch", "grep"})
        fs::create_symlink("busybox", root + "/bin/" + std::string(name));
    fs::create_symlink("../bin/busybox", root + "/sbin/init");
    write_file(root + "/etc/inittab", inittab);
    write_file(root + "/sbin/boot", "#!/bin/sh\n", 0755);
    write_file(root + "/var/www/index.html", "hello\n");
}

std::string file_name(const std::string& path) {
    return fs::path(path).filename().string();
}

}  // namespace

const std::string& kind() {
    static const std::string name = [] {
        const char* const wanted = std::getenv("QVD_TEST_KIND");
        return std::string(wanted == nullptr ? "overlayfs" : wanted);
    }();
    return name;
}

const char* unprivileged() {
    const char* const wanted = std::getenv("QVD_TEST_UNPRIVILEGED");
    return wanted == nullptr ? "auto" : wanted;
}

std::string bridge_name() {
    return "qvdtest0";
}

// ---- World --------------------------------------------------------------------------------------

World::World() {
    std::string name = std::string(kind() == "btrfs" ? "/mnt/btrfs" : "/mnt") + "/qvdlxcXXXXXX";
    root_ = ::mkdtemp(name.data());
    ::chmod(root_.c_str(), 0755);  // as /run and /var/lib are
    const std::string unique = "t" + std::to_string(::getpid()) + "-";
    configuration = {{"path.storage.basefs", path("basefs")},
                     {"path.storage.overlayfs", path("overlayfs")},
                     {"path.storage.rootfs", path("rootfs")},
                     {"path.storage.homefs", path("homefs")},
                     {"path.run", path("run")},
                     {"path.qvd.bin", QVD_TEST_PROGRAMS},
                     {"internal.vm.lxc.name.prefix", unique},
                     {"internal.vm.network.device.prefix", "qvd"},
                     {"vm.lxc.init", "/sbin/init"},
                     {"vm.lxc.signal.halt", "auto"},
                     {"vm.lxc.processes.max", "500"},
                     {"vm.lxc.devices", "/dev/fuse"},
                     {"vm.lxc.cpu.shares", "100"},
                     {"vm.lxc.cpuset", ""},
                     {"vm.lxc.swap", "0"},
                     {"vm.lxc.console.size", "64"},
                     {"vm.lxc.apparmor.profile", "auto"},
                     {"vm.lxc.seccomp.profile", "default"},
                     {"vm.lxc.sys_admin", "auto"},
                     {"vm.lxc.unprivileged", unprivileged()},
                     {"vm.lxc.unprivileged.ids", "65536"},
                     {"internal.vm.lxc.unprivileged.first", "805306368"},
                     {"vm.lxc.unpack.max.mib", "64"},
                     {"vm.lxc.unpack.max.entries", "1000"},
                     {"vm.lxc.conf.extra", ""},
                     {"internal.vm.lxc.conf.extra", ""},
                     {"vm.lxc.unionfs.type", kind()},
                     {"vm.lxc.unionfs.bind.ro", "1"},
                     {"command.unionfs-fuse", "/usr/bin/unionfs-fuse"},
                     {"command.fuse-overlayfs", "/usr/bin/fuse-overlayfs"},
                     {"path.storage.btrfs.root", root_},
                     {"vm.lxc.btrfs.quota", "0"}};
}

World::~World() {
    std::error_code ignored;
    if (exists(path("run/vm"))) {
        Backend backend(*this);  // whatever a failed test left running ends here
        for (const auto& entry : fs::directory_iterator(path("run/vm"), ignored)) {
            const auto id = std::strtoull(entry.path().filename().c_str(), nullptr, 10);
            CallStandIn call;
            VmOrder vm(*this, id);
            if (id != 0 && backend.self() != nullptr)
                backend.table().destroy_vm(backend.self(), vm.raw(), call.raw());
        }
    }
    fs::remove_all(root_, ignored);
    // What only btrfs can remove.
    if (kind() == "btrfs" && exists(root_))
        static_cast<void>(std::system(("for i in " + root_ +
                                       "/btrfs/*/*; do btrfs property set $i ro false; btrfs "
                                       "subvolume delete $i; done >/dev/null 2>&1; rm -rf " +
                                       root_)
                                          .c_str()));
}

std::string World::images(const std::string& below) const {
    return path((kind() == "btrfs" ? "btrfs/images/" : "basefs/") + below);
}

std::string World::changes(const std::string& below) const {
    return path((kind() == "btrfs" ? "btrfs/vms/" : "overlayfs/") + below);
}

std::string World::changes_of(std::uint64_t vm) const {
    return changes("7-" + std::to_string(vm) + "-" + kind());
}

std::string World::make_image(const std::string& name,
                              const std::function<void(const std::string&)>& fill,
                              const std::string& tar_options) const {
    const std::string folder = path("making-" + name);
    fill_busybox(folder);
    fill(folder);
    fs::create_directories(path("images"));
    std::string archive = path("images/" + name);
    run("tar -C " + folder + " --numeric-owner " + tar_options + " -cf " + archive + " .");
    fs::remove_all(folder);
    return archive;
}

std::string World::left_overs() const {
    std::string found;
    std::ifstream mounts("/proc/self/mounts");
    for (std::string line; std::getline(mounts, line);)
        if (line.find(root_) != std::string::npos) found += "mount " + line + "\n";
    const std::string prefix = configuration.at("internal.vm.lxc.name.prefix");
    // With version 2 alone, the folder is the hierarchy; else each of its folders is one.
    std::vector<std::string> hierarchies{"/sys/fs/cgroup"};
    for (const auto& below : fs::directory_iterator("/sys/fs/cgroup"))
        if (below.is_directory()) hierarchies.push_back(below.path());
    for (const std::string& hierarchy : hierarchies) {
        std::error_code ignored;
        for (const auto& group : fs::directory_iterator(hierarchy, ignored))
            if (file_name(group.path()).find(prefix) != std::string::npos)
                found += "cgroup " + group.path().string() + "\n";
    }
    for (int vm = 1; vm < 300; ++vm)
        if (::if_nametoindex(("qvd" + std::to_string(vm)).c_str()) != 0)
            found += "device qvd" + std::to_string(vm) + "\n";
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(path("run/given"), none))
        found += "given " + entry.path().string() + "\n";
    for (const char* folder : {"run/vm", "basefs", "overlayfs", "rootfs"}) {
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(path(folder), ignored)) {
            const std::string name = file_name(entry.path());
            for (const char* part :
                 {".sock", ".token", ".new", ".files", "untar-", "-fs", ".probe", ".layers"})
                if (name.find(part) != std::string::npos) found += "file " + name + "\n";
        }
    }
    return found;
}

// ---- Backend ------------------------------------------------------------------------------------

namespace {

const char* plugin_file() {
    return kind() == "btrfs" ? QVD_TEST_BTRFS_PLUGIN : QVD_TEST_PLUGIN;
}

}  // namespace

Backend::Backend(const World& world)
    : core_(world.configuration), table_(hypervisor_in(plugin_file())) {
    CallStandIn call;
    if (table_->create(core_.raw(), call.raw(), &self_) != QVD_OK) {
        refused = call.sentence;
        self_ = nullptr;
        return;
    }
    CallStandIn collecting;
    const qvd_array nobody = QVD_NO_ARRAY;
    if (table_->collect(self_, &nobody, collecting.raw()) != QVD_OK)
        refused_to_collect = collecting.sentence;
}

Backend::~Backend() {
    drop();
}

void Backend::drop() {
    core_.drop();
    if (self_ != nullptr) table_->destroy(self_);
    self_ = nullptr;
}

}  // namespace qvd::test
