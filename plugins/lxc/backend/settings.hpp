// What the configuration says to every backend for containers, read once for an instance.
#pragma once

#include <qvd/plugin.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace qvd::lxc {

struct Settings {
    // Throws sdk::Failure(QVD_INVALID) on a value that no container could live with.
    explicit Settings(const sdk::Core& core);

    std::string basefs;     // unpacked images
    std::string overlayfs;  // what VMs changed
    std::string rootfs;     // mount points
    std::string homefs;     // home directories
    std::string run;        // path.run/vm: sockets and state of keepers
    std::string given;      // path.run/given: what containers with ids of their own are given
    std::string programs;   // path.qvd.bin
    std::string container_prefix;
    std::string device_prefix;
    std::string init;
    std::string halt_signal;  // "auto", or a name
    std::string apparmor;
    std::string sys_admin;       // "auto", "1" or "0"
    std::string unprivileged;    // "auto", "1" or "0"
    std::uint32_t first_id = 0;  // of the ids that unprivileged containers have on the node
    std::uint32_t ids = 0;       // of each
    std::string seccomp;         // "default", "none", or a path
    std::vector<std::string> devices;
    std::vector<std::string> extra;  // "key = value" for liblxc
    std::int64_t processes_max = 0;
    std::int64_t cpu_shares = 0;
    std::int64_t swap_mib = 0;
    std::string cpuset;  // "0-3,8"; empty: all
    std::int64_t console_bytes = 0;
    std::int64_t unpack_max_mib = 0;
    std::int64_t unpack_max_entries = 0;

    [[nodiscard]] std::string container_of(std::uint64_t vm_id) const {
        return container_prefix + std::to_string(vm_id);
    }
    // What an unprivileged container is given of files: whoever has its ids gets there.
    [[nodiscard]] std::string given_to(std::uint64_t vm_id) const {
        return given + "/" + std::to_string(vm_id);
    }
    // path.run/vm/ID.sock and its like.
    [[nodiscard]] std::string file_of(std::uint64_t vm_id, const char* suffix) const {
        return run + "/" + std::to_string(vm_id) + suffix;
    }
    // Closed to all but the container's root: what it made may be root's on the node, too, and
    // programs that run as their owner are among it.
    [[nodiscard]] std::string place_of(std::uint64_t vm_id) const {
        return rootfs + "/" + std::to_string(vm_id) + "-fs";
    }
    [[nodiscard]] std::string mount_point_of(std::uint64_t vm_id) const {
        return place_of(vm_id) + "/root";
    }
};

// Throws sdk::Failure(QVD_INVALID) unless it is a value of vm.lxc.unprivileged.
void check_unprivileged(const std::string& text);

// "0-3,8"; also empty.
bool is_cpuset(const std::string& text);

// The number of a signal by its name ("SIGPWR", "SIGRTMIN+3"); 0 if there is none.
int signal_number(const std::string& name);

}  // namespace qvd::lxc

// The keys that Settings reads; a plugin's own follow in the same array.
#define QVD_LXC_KEYS                                                                              \
    ::qvd::sdk::key("path.storage.basefs", QVD_PATH, "${path.storage.root}/basefs",               \
                    "unpacked images"),                                                           \
        ::qvd::sdk::key("path.storage.overlayfs", QVD_PATH, "${path.storage.root}/overlayfs",     \
                        "what VMs changed in their files; a local file system"),                  \
        ::qvd::sdk::key("path.storage.rootfs", QVD_PATH, "${path.storage.root}/rootfs",           \
                        "where the files of running containers come together"),                   \
        ::qvd::sdk::key("path.storage.homefs", QVD_PATH, "${path.storage.root}/homefs",           \
                        "the users' home folders"),                                               \
        ::qvd::sdk::key("path.run", QVD_PATH, "/run/qvd", "sockets and state of what runs",       \
                        nullptr, QVD_KEY_FILE_ONLY),                                              \
        ::qvd::sdk::key("path.qvd.bin", QVD_PATH, "/usr/lib/qvd/bin",                             \
                        "the product's own helper programs", nullptr, QVD_KEY_FILE_ONLY),         \
        ::qvd::sdk::key("internal.vm.lxc.name.prefix", QVD_TEXT, "qvd-",                          \
                        "containers and their cgroups are named by this and the VM's number"),    \
        ::qvd::sdk::key("internal.vm.network.device.prefix", QVD_TEXT, "qvd",                     \
                        "the node's ends of the VMs' network devices begin with this"),           \
        ::qvd::sdk::key("vm.lxc.init", QVD_PATH, "/sbin/init",                                    \
                        "the first program of a container"),                                      \
        ::qvd::sdk::key("vm.lxc.signal.halt", QVD_TEXT, "auto",                                   \
                        "the signal that asks init to shut down; auto: SIGRTMIN+3 for systemd, "  \
                        "SIGPWR for any other"),                                                  \
        ::qvd::sdk::key("vm.lxc.processes.max", QVD_INTEGER, "8192",                              \
                        "processes and threads of one container; 0: no limit", "0..4194304"),     \
        ::qvd::sdk::key("vm.lxc.cpu.shares", QVD_INTEGER, "100",                                  \
                        "weight of a container when processors are scarce, also as a property "   \
                        "of an OSF or a VM",                                                      \
                        "1..10000"),                                                              \
        ::qvd::sdk::key("vm.lxc.cpuset", QVD_TEXT, "",                                            \
                        "processors that containers may use, such as 0-3,8, also as a property; " \
                        "empty: all"),                                                            \
        ::qvd::sdk::key("vm.lxc.swap", QVD_INTEGER, "0",                                          \
                        "MiB of swap that a container may use beyond its OSF's memory, also as "  \
                        "a property",                                                             \
                        "0..16777216"),                                                           \
        ::qvd::sdk::key("vm.lxc.devices", QVD_TEXT, "/dev/fuse",                                  \
                        "devices of the node that every container may use, separated by blanks"), \
        ::qvd::sdk::key("vm.lxc.console.size", QVD_INTEGER, "64",                                 \
                        "KiB of console output kept in path.run/vm, twice", "4..65536"),          \
        ::qvd::sdk::key("vm.lxc.apparmor.profile", QVD_TEXT, "auto",                              \
                        "AppArmor profile; auto: made by liblxc where AppArmor is on"),           \
        ::qvd::sdk::key("vm.lxc.sys_admin", QVD_TEXT, "auto",                                     \
                        "whether root of a container may mount (CAP_SYS_ADMIN), by FUSE, too; "   \
                        "where AppArmor is off, he can then undo what is mounted read-only, "     \
                        "/proc/sys for one: 1; 0, with which systemd does not start; auto: only " \
                        "where systemd is init"),                                                 \
        ::qvd::sdk::key("vm.lxc.unprivileged", QVD_TEXT, "auto",                                  \
                        "whether root of a container is nobody on the node (user namespace), "    \
                        "also as a property of an OSF or a VM: 1, 0; auto: where the node and "   \
                        "vm.lxc.unionfs.type can do it"),                                         \
        ::qvd::sdk::key("vm.lxc.unprivileged.ids", QVD_INTEGER, "65536",                          \
                        "user and group ids that such a container has", "65536..100000000"),      \
        ::qvd::sdk::key("internal.vm.lxc.unprivileged.first", QVD_INTEGER, "805306368",           \
                        "the first id of the node that is such a container's; none from here to " \
                        "2147483647 may be anybody else's",                                       \
                        "65536..2000000000"),                                                     \
        ::qvd::sdk::key("vm.lxc.seccomp.profile", QVD_TEXT, "default",                            \
                        "file with liblxc's list of refused system calls; default: the built-in " \
                        "one; none: refuse none"),                                                \
        ::qvd::sdk::key("vm.lxc.unpack.max.mib", QVD_INTEGER, "65536",                            \
                        "MiB that an unpacked image may have", "1..16777216"),                    \
        ::qvd::sdk::key("vm.lxc.unpack.max.entries", QVD_INTEGER, "5000000",                      \
                        "files and folders that an image may have", "1..1000000000"),             \
        ::qvd::sdk::key("vm.lxc.conf.extra", QVD_TEXT, "",                                        \
                        "more lines \"lxc.KEY = VALUE\" for every container, separated by "       \
                        "semicolons"),                                                            \
        ::qvd::sdk::key("internal.vm.lxc.conf.extra", QVD_TEXT, "", "the same, by its older name")
