// What a crash leaves behind, and what only looks as if it were this node's.
#include "stage.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;
using namespace qvd::test;

namespace {

// A process that waits to be killed.
class Child {
public:
    Child() : pid_(::fork()) {
        if (pid_ != 0) return;
        for (;;) ::pause();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool has_ended() const {
        siginfo_t end{};
        ::waitid(P_PID, static_cast<id_t>(pid_), &end, WEXITED | WNOHANG | WNOWAIT);
        return end.si_pid == pid_;
    }

private:
    pid_t pid_;
};

// The cgroup of a VM of `world`, in one hierarchy.
class Cgroup {
public:
    Cgroup(const World& world, const std::string& kind, int vm)
        : path_(hierarchy() + "/" + kind + world.configuration.at("internal.vm.lxc.name.prefix") +
                std::to_string(vm)) {
        REQUIRE(fs::create_directory(path_));
    }
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;
    ~Cgroup() {
        std::ifstream inside(path_ + "/cgroup.procs");
        for (std::string pid; inside >> pid;) std::ofstream(hierarchy() + "/cgroup.procs") << pid;
        ::rmdir(path_.c_str());
    }
    void take(pid_t pid) const {
        REQUIRE((std::ofstream(path_ + "/cgroup.procs") << pid << std::flush).good());
    }
    [[nodiscard]] bool exists() const { return qvd::test::exists(path_); }

private:
    // With version 2 alone it is the folder itself.
    static std::string hierarchy() {
        for (const char* const one : {"/sys/fs/cgroup/memory", "/sys/fs/cgroup/unified"})
            if (qvd::test::exists(one)) return one;
        return "/sys/fs/cgroup";
    }

    std::string path_;
};

}  // namespace

TEST_CASE(
    "empty cgroups of a container that nobody remembers are cleaned up, as is a dead keeper's") {
    World world;
    const Cgroup monitor(world, "lxc.monitor.", 99);
    const Cgroup payload(world, "lxc.payload.", 98);
    Child child;
    payload.take(child.pid());
    write_file(world.path("run/vm/98.state"), "state running\nvm 98\n");
    const Backend backend(world);  // collects
    CHECK_FALSE(monitor.exists());
    CHECK_FALSE(payload.exists());
    CHECK(child.has_ended());
}

TEST_CASE("what has the names of this node's VMs, but is not in its records, is another node's") {
    Stage stage;
    const Cgroup monitor(stage.world, "lxc.monitor.", 97);
    Child child;
    monitor.take(child.pid());
    REQUIRE(std::system("ip link add qvd96 type bridge") == 0);
    const Backend second(stage.world);  // collects
    CHECK(monitor.exists());
    CHECK_FALSE(child.has_ended());
    CHECK(std::system("ip link show qvd96 >/dev/null") == 0);

    VmOrder vm(stage.world, 97);
    CallStandIn call;
    CHECK(stage.start(vm, call) == QVD_CONFLICT);
    CHECK_MESSAGE(call.sentence.find("internal.vm.lxc.name.prefix") != std::string::npos,
                  call.sentence);
    VmOrder linked(stage.world, 96);
    CallStandIn linking;
    CHECK(stage.start(linked, linking) == QVD_CONFLICT);
    CHECK_MESSAGE(linking.sentence.find("internal.vm.network.device.prefix") != std::string::npos,
                  linking.sentence);
    stage.destroy(vm);
    stage.destroy(linked);
    CHECK_FALSE(child.has_ended());
    CHECK(std::system("ip link del qvd96") == 0);  // it was still there
}
