// The parts of the container backends that need no container: cgroups of every kind, as a tree of
// files, and what liblxc is told on them.
#include "common/cgroups.hpp"
#include "common/files.hpp"
#include "container/configuration.hpp"
#include "keeper/init_signals.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;
using namespace qvd::lxc;

namespace {

// A machine: its /proc/self and its cgroup mounts are folders.
class Machine {
public:
    Machine() {
        std::string name = "/tmp/qvd-lxc-parts-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
        root_ = name;
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;
    ~Machine() {
        std::error_code ignored;
        fs::remove_all(root_, ignored);
    }

    void write(const std::string& path, const std::string& text) const {
        fs::create_directories(fs::path(at(path)).parent_path());
        std::ofstream(at(path)) << text;
    }
    [[nodiscard]] std::string at(const std::string& path) const { return root_ + "/" + path; }
    [[nodiscard]] CgroupLayout layout() const { return CgroupLayout::read(at("proc")); }

    void version1() const {
        write("proc/mounts", "proc /proc proc rw 0 0\ncgroup " + at("memory") +
                                 " cgroup rw,relatime,memory 0 0\ncgroup " + at("cpu") +
                                 " cgroup rw,cpu,cpuacct 0 0\ncgroup " + at("systemd") +
                                 " cgroup rw,name=systemd 0 0\n");
        write("proc/cgroup", "4:memory:/\n3:cpu,cpuacct:/\n2:devices:/\n1:name=systemd:/\n");
    }
    void version2() const {
        write("proc/mounts", "cgroup2 " + at("unified") + " cgroup2 rw,nsdelegate 0 0\n");
        write("proc/cgroup", "0::/system.slice/qvd-node.service\n");
    }
    // Controllers in version 1, but memory in version 2.
    void hybrid() const {
        write("proc/mounts", "cgroup " + at("cpu") + " cgroup rw,cpu,cpuacct 0 0\ncgroup " +
                                 at("systemd") + " cgroup rw,name=systemd 0 0\ncgroup2 " +
                                 at("unified") + " cgroup2 rw 0 0\n");
        write("proc/cgroup", "3:cpu,cpuacct:/\n2:devices:/\n1:name=systemd:/\n0::/\n");
    }

private:
    std::string root_;
};

std::string value_of(const Items& items, const std::string& key) {
    for (const auto& [name, value] : items)
        if (name == key) return value;
    return "";
}

Items configured(const Machine& machine, const std::string& profile = "auto") {
    Fields order;
    order.add("container", "qvd-7");
    order.add("rootfs", "/the/root");
    order.add("apparmor", profile);
    order.add("memory_mib", 256);
    order.add("swap_mib", 64);
    order.add("cpu_weight", 200);
    order.add("cpus", 2);
    order.add("cpuset", "0-3");
    order.add("pids_max", 500);
    return configuration(order, machine.layout(), machine.at("apparmor"));
}

}  // namespace

TEST_CASE("the root is mounted on itself, and needs no folder of another package") {
    const Machine machine;
    machine.version2();
    const Items items = configured(machine);
    CHECK(value_of(items, "lxc.rootfs.path") == "dir:/the/root");
    CHECK(value_of(items, "lxc.rootfs.mount") == "/the/root");
}

TEST_CASE(
    "AppArmor confines a container by a profile of its own where it is on, or by the wanted one") {
    const Machine machine;
    machine.version2();
    constexpr const char* profile = "lxc.apparmor.profile";
    constexpr const char* nesting = "lxc.apparmor.allow_nesting";
    CHECK(value_of(configured(machine), profile) == "unconfined");
    machine.write("apparmor", "N\n");
    CHECK(value_of(configured(machine), profile) == "unconfined");
    CHECK(value_of(configured(machine), nesting).empty());
    machine.write("apparmor", "Y\n");
    CHECK(value_of(configured(machine), profile) == "generated");
    CHECK(value_of(configured(machine), nesting) == "1");
    CHECK(value_of(configured(machine, "mine"), profile) == "mine");
    CHECK(value_of(configured(machine, "mine"), nesting).empty());
}

TEST_CASE("with version 1 each controller limits in its own words") {
    const Machine machine;
    machine.version1();
    machine.write("memory/memory.memsw.limit_in_bytes", "0");
    const Items items = configured(machine);
    CHECK(value_of(items, "lxc.cgroup.memory.limit_in_bytes") == "268435456");
    CHECK(value_of(items, "lxc.cgroup.memory.memsw.limit_in_bytes") == "335544320");
    CHECK(value_of(items, "lxc.cgroup.cpu.shares") == "2048");
    CHECK(value_of(items, "lxc.cgroup.cpu.cfs_quota_us") == "200000");
    CHECK(value_of(items, "lxc.cgroup.devices.deny") == "a");
    CHECK(value_of(items, "lxc.cgroup2.memory.max").empty());
}

TEST_CASE("a kernel without swap accounting is not asked to limit swap") {
    const Machine machine;
    machine.version1();
    const Items items = configured(machine);
    CHECK(value_of(items, "lxc.cgroup.memory.limit_in_bytes") == "268435456");
    CHECK(value_of(items, "lxc.cgroup.memory.memsw.limit_in_bytes").empty());
}

TEST_CASE("with version 2 everything is limited in its words, swap apart from memory") {
    const Machine machine;
    machine.version2();
    const Items items = configured(machine);
    CHECK(value_of(items, "lxc.cgroup2.memory.max") == "268435456");
    CHECK(value_of(items, "lxc.cgroup2.memory.swap.max") == "67108864");
    CHECK(value_of(items, "lxc.cgroup2.cpu.weight") == "200");
    CHECK(value_of(items, "lxc.cgroup2.cpu.max") == "200000 100000");
    CHECK(value_of(items, "lxc.cgroup2.cpuset.cpus") == "0-3");
    CHECK(value_of(items, "lxc.cgroup2.pids.max") == "500");
    CHECK(value_of(items, "lxc.cgroup2.devices.deny") == "a");
    for (const auto& item : items)
        CHECK_MESSAGE(!item.first.starts_with("lxc.cgroup.m"), item.first);
}

TEST_CASE("with both, each controller is limited where it is") {
    const Machine machine;
    machine.hybrid();
    const Items items = configured(machine);
    CHECK(value_of(items, "lxc.cgroup2.memory.max") == "268435456");
    CHECK(value_of(items, "lxc.cgroup.cpu.shares") == "2048");
    CHECK(value_of(items, "lxc.cgroup.devices.deny") == "a");
    CHECK(value_of(items, "lxc.cgroup2.devices.deny").empty());
}

TEST_CASE("what a container uses is read where its controllers are") {
    const Machine machine;
    SUBCASE("version 1") {
        machine.version1();
        machine.write("memory/lxc.payload.qvd-7/memory.usage_in_bytes", "3000\n");
        machine.write("memory/lxc.payload.qvd-7/memory.stat",
                      "cache 9\ntotal_inactive_file 1000\n");
        machine.write("memory/lxc.payload.qvd-7/memory.oom_control",
                      "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        machine.write("cpu/lxc.payload.qvd-7/cpuacct.usage", "1500000000\n");
    }
    SUBCASE("version 2") {
        machine.version2();
    }
    SUBCASE("both: memory in version 2, CPU in version 1") {
        machine.hybrid();
        machine.write("cpu/lxc.payload.qvd-7/cpuacct.usage", "1500000000\n");
    }
    machine.write("unified/lxc.payload.qvd-7/memory.current", "3000\n");
    machine.write("unified/lxc.payload.qvd-7/memory.stat", "anon 5\ninactive_file 1000\n");
    machine.write("unified/lxc.payload.qvd-7/memory.events", "low 0\noom 3\noom_kill 2\n");
    machine.write("unified/lxc.payload.qvd-7/cpu.stat", "usage_usec 1500000\nuser_usec 1\n");
    const CgroupUsage usage = usage_of("qvd-7", machine.layout());
    CHECK(usage.memory_bytes == 2000);
    CHECK(usage.killed_for_memory == 2);
    CHECK(usage.cpu_seconds == 1.5);
}

TEST_CASE("killing a cgroup tells the kernel of version 2, and every process of version 1") {
    const Machine machine;
    machine.hybrid();
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    machine.write("unified/lxc.payload.qvd-7/cgroup.kill", "");
    machine.write("unified/lxc.payload.qvd-7/cgroup.procs", "");
    machine.write("cpu/lxc.payload.qvd-7/init/cgroup.procs", std::to_string(child) + "\n");
    CHECK(kill_cgroup("lxc.payload.qvd-7", machine.layout()) == 1);
    CHECK(read_file(machine.at("unified/lxc.payload.qvd-7/cgroup.kill")).value_or("") == "1");
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status));
}

TEST_CASE("left-over cgroups are found in every hierarchy, and removed from all") {
    const Machine machine;
    machine.hybrid();
    fs::create_directories(machine.at("unified/lxc.payload.qvd-7/init"));
    fs::create_directories(machine.at("cpu/lxc.payload.qvd-7"));
    fs::create_directories(machine.at("systemd/lxc.payload.qvd-8"));
    const CgroupLayout layout = machine.layout();
    CHECK(cgroups_named("lxc.payload.qvd-", layout) ==
          std::vector<std::string>{"lxc.payload.qvd-7", "lxc.payload.qvd-8"});
    CHECK(remove_cgroup("lxc.payload.qvd-7", layout));
    CHECK_FALSE(fs::exists(machine.at("unified/lxc.payload.qvd-7")));
    CHECK_FALSE(fs::exists(machine.at("cpu/lxc.payload.qvd-7")));
    CHECK(remove_cgroup("lxc.payload.qvd-7", layout));
}

TEST_CASE("a keeper is moved in the hierarchies that track services, in no other") {
    const Machine machine;
    machine.hybrid();
    for (const char* const where : {"unified", "systemd", "cpu"})
        machine.write(std::string(where) + "/qvd.keepers/cgroup.procs", "");
    join_cgroup("qvd.keepers", machine.layout());
    CHECK(read_file(machine.at("unified/qvd.keepers/cgroup.procs")).value_or("") == "0");
    CHECK(read_file(machine.at("systemd/qvd.keepers/cgroup.procs")).value_or("") == "0");
    CHECK(read_file(machine.at("cpu/qvd.keepers/cgroup.procs")).value_or("x").empty());
}

TEST_CASE("a file that only root may read never is anything else") {
    const Machine machine;
    machine.write("kept", "");
    REQUIRE(replace_file(machine.at("token"), "secret", 0400));
    struct stat found {};
    REQUIRE(::stat(machine.at("token").c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0400);
    CHECK(read_file(machine.at("token")).value_or("") == "secret");
}

TEST_CASE("a process hears a signal that it catches or blocks, and always that to die") {
    const int number = SIGRTMIN + 3;
    CHECK_FALSE(hears_signal(::getpid(), number));
    CHECK(hears_signal(::getpid(), SIGKILL));
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, number);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    CHECK(hears_signal(::getpid(), number));
    CHECK_FALSE(hears_signal(::getpid(), number + 1));
    ::sigprocmask(SIG_UNBLOCK, &blocked, nullptr);
    ::signal(number, [](int) {});
    CHECK(hears_signal(::getpid(), number));
    ::signal(number, SIG_DFL);
    CHECK_FALSE(hears_signal(::getpid(), number));
}
