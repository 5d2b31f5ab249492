// VMs that fail: why, as a code and a sentence, what is kept of them, and what becomes of them
// (hkd.vm.failure).
#include "base/file.hpp"
#include "base/log.hpp"
#include "config/keys.hpp"
#include "hkd/neighbours.hpp"
#include "tests/hkd/running_vm.hpp"
#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <utility>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

namespace {

Limits with(FailurePolicy policy) {
    Limits limits;
    limits.failure = policy;
    limits.keep_for_debugging = policy == FailurePolicy::debug;
    return limits;
}

// A node with one VM, which has been ordered to start.
struct Failing {
    explicit Failing(Limits limits, Temper temper)
        : rig(1, std::move(limits)), vm(rig.vms().front()) {
        rig.world.temper = temper;
        rig.boot();
        rig.order_start(vm);
    }
    bool becomes(const std::string& stage) {
        return rig.pass_until([&] { return rig.stage(vm) == stage; });
    }
    std::string code() { return rig.row(vm).reason_code; }

    Rig rig;
    VmId vm;
};

Temper unlaunchable() {
    Temper temper;
    temper.launches = false;
    return temper;
}

Temper without_agent() {
    Temper temper;
    temper.agent_after.reset();
    return temper;
}

KeptLogs kept_logs() {
    return KeptLogs(kept_logs_folder(test_view()));
}

}  // namespace

TEST_CASE("each way to fail has a code of its own") {
    {
        Failing launch(with(FailurePolicy::ignore), unlaunchable());
        REQUIRE(launch.becomes("failed"));
        CHECK(launch.code() == "fake.launch");
        CHECK(launch.rig.row(launch.vm).reason == "the kernel said no");
    }
    {
        Temper temper;
        temper.agent_after.reset();
        temper.dies_after = Milliseconds{2'000};
        Failing boot(with(FailurePolicy::ignore), temper);
        REQUIRE(boot.becomes("failed"));
        CHECK(boot.code() == "vm.boot_failed");
        CHECK(boot.rig.row(boot.vm).reason ==
              "it ended before its agent answered: the guest panicked");
    }
    {
        Failing agent(with(FailurePolicy::ignore), without_agent());
        REQUIRE(agent.becomes("failed"));
        CHECK(agent.code() == "vm.no_agent");
    }
    {
        Failing network(with(FailurePolicy::ignore), without_agent());
        network.rig.world.neighbour = Neighbour::silent;
        REQUIRE(network.becomes("failed"));
        CHECK(network.code() == "vm.no_network");
    }
    {
        Failing image(with(FailurePolicy::ignore), Temper{});
        REQUIRE(image.becomes("running"));
        image.rig.world.end(image.rig.uuid(image.vm), BackendState::crashed, "out of memory");
        REQUIRE(image.becomes("failed"));
        CHECK(image.code() == "vm.crashed");
        image.rig.order_start(image.vm);
        REQUIRE(image.becomes("running"));
        CHECK(image.code().empty());
    }
}

TEST_CASE("the kernel's table of neighbours tells who was never heard of") {
    const std::string table =
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        "10.3.15.50       0x1         0x2         54:52:00:03:0f:32     *        qvdnet0\n"
        "10.3.15.51       0x1         0x0         00:00:00:00:00:00     *        qvdnet0\n";
    CHECK(neighbour_in(table, "10.3.15.50") == Neighbour::present);
    CHECK(neighbour_in(table, "10.3.15.51") == Neighbour::silent);
    CHECK(neighbour_in(table, "10.3.15.5") == Neighbour::unknown);
    CHECK(neighbour("203.0.113.77") == Neighbour::unknown);
}

TEST_CASE("a VM is started again later each time, and given up and blocked in the end") {
    Limits limits = with(FailurePolicy::retry);
    limits.retry = {4, Milliseconds{10'000}, Milliseconds{30'000}};
    Failing one(limits, unlaunchable());
    std::vector<std::int64_t> pauses;
    for (int attempt = 1; attempt < 4; ++attempt) {
        REQUIRE(one.rig.pass_until([&] { return one.rig.row(one.vm).attempt == attempt; }));
        const VmRuntime row = one.rig.row(one.vm);
        REQUIRE(row.retry_at.has_value());
        CHECK_FALSE(row.blocked);
        const auto failed = one.rig.world.clock.now();
        REQUIRE(one.becomes("starting_1"));
        pauses.push_back(
            std::chrono::round<std::chrono::seconds>(one.rig.world.clock.now() - failed).count());
    }
    CHECK(pauses == std::vector<std::int64_t>{10, 20, 30});
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).blocked);
    CHECK(one.rig.row(one.vm).attempt == 4);
    CHECK_FALSE(one.rig.row(one.vm).retry_at.has_value());
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.stage(one.vm) == "failed");
}

TEST_CASE("a planned retry outlives hkd") {
    Failing one(with(FailurePolicy::retry), unlaunchable());
    REQUIRE(one.becomes("failed"));
    one.rig.crash();
    one.rig.pass(Milliseconds{4'000});
    one.rig.world.temper = {};
    one.rig.boot();
    const auto back = one.rig.world.clock.now();
    REQUIRE(one.becomes("running"));
    CHECK(one.rig.world.clock.now() - back < Milliseconds{7'500});
    CHECK(one.rig.row(one.vm).attempt == 1);
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.row(one.vm).attempt == 0);
    CHECK(one.rig.row(one.vm).incarnation == 2);
}

TEST_CASE("a VM that comes up and crashes again and again is given up, later each time") {
    Limits limits = with(FailurePolicy::retry);
    limits.retry.attempts = 4;
    Temper crashing;
    crashing.dies_after = Milliseconds{60'000};
    Failing one(limits, crashing);
    std::vector<std::int64_t> pauses;
    for (int failure = 1; failure < 4; ++failure) {
        REQUIRE(one.becomes("running"));
        REQUIRE(one.becomes("failed"));
        CHECK(one.code() == "vm.crashed");
        CHECK(one.rig.row(one.vm).attempt == failure);
        CHECK_FALSE(one.rig.row(one.vm).blocked);
        const auto failed = one.rig.world.clock.now();
        REQUIRE(one.becomes("starting_1"));
        pauses.push_back(
            std::chrono::round<std::chrono::seconds>(one.rig.world.clock.now() - failed).count());
    }
    CHECK(pauses == std::vector<std::int64_t>{10, 20, 40});
    REQUIRE(one.becomes("running"));
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).blocked);
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.row(one.vm).incarnation == 4);
    CHECK(one.rig.world.processes.empty());
}

TEST_CASE("one that ran well in between begins to count anew, also when hkd was new meanwhile") {
    for (const bool crash : {false, true}) {
        CAPTURE(crash);
        Limits limits = with(FailurePolicy::retry);
        limits.retry.attempts = 2;
        Temper crashing;
        crashing.dies_after = Milliseconds{3'600'000};
        Failing one(limits, crashing);
        for (int life = 1; life <= 3; ++life) {
            REQUIRE(one.becomes("running"));
            if (crash) {
                one.rig.crash();
                one.rig.boot();
            }
            REQUIRE(one.becomes("failed"));
            CHECK(one.rig.row(one.vm).attempt == 1);
            CHECK_FALSE(one.rig.row(one.vm).blocked);
            REQUIRE(one.becomes("starting_1"));
        }
    }
}

TEST_CASE("crashes before and after a new hkd count together") {
    Limits limits = with(FailurePolicy::retry);
    limits.retry.attempts = 2;
    Temper crashing;
    crashing.dies_after = Milliseconds{60'000};
    Failing one(limits, crashing);
    REQUIRE(one.becomes("running"));
    REQUIRE(one.becomes("failed"));
    one.rig.crash();
    one.rig.boot();
    REQUIRE(one.becomes("running"));
    one.rig.crash();
    one.rig.boot();
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).attempt == 2);
    CHECK(one.rig.row(one.vm).blocked);
}

TEST_CASE("a stop calls a planned retry off, and a start of one's own takes its place") {
    Failing one(with(FailurePolicy::retry), unlaunchable());
    REQUIRE(one.becomes("failed"));
    REQUIRE(one.rig.ask(one.rig.store().order_stop(one.vm)).ok());
    CHECK_FALSE(one.rig.row(one.vm).retry_at.has_value());
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.stage(one.vm) == "failed");
    CHECK(one.rig.row(one.vm).incarnation == 1);

    one.rig.order_start(one.vm);
    REQUIRE(one.rig.pass_until([&] { return one.rig.row(one.vm).incarnation == 2; }));
    REQUIRE(one.becomes("failed"));
    one.rig.world.temper = {};
    one.rig.order_start(one.vm);
    REQUIRE(one.becomes("running"));
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.row(one.vm).incarnation == 3);
}

TEST_CASE("a retry waits until its node has room again") {
    Failing one(with(FailurePolicy::retry), unlaunchable());
    REQUIRE(one.becomes("failed"));
    one.rig.world.temper = {};
    (void)one.rig.ask(one.rig.store().set_node_blocked(one.rig.node(), true));
    one.rig.pass(Milliseconds{300'000});
    CHECK(one.rig.stage(one.vm) == "failed");
    (void)one.rig.ask(one.rig.store().set_node_blocked(one.rig.node(), false));
    REQUIRE(one.becomes("running"));
}

TEST_CASE("with hkd.vm.failure = debug a VM without agent is kept, and a dead one is blocked") {
    Failing kept(with(FailurePolicy::debug), without_agent());
    REQUIRE(kept.becomes("debug"));
    CHECK(kept.code() == "vm.no_agent");
    kept.rig.pass(Milliseconds{3'600'000});
    CHECK(kept.rig.world.processes.size() == 1);
    CHECK_FALSE(kept.rig.row(kept.vm).blocked);
    kept.rig.order_stop(kept.vm);
    REQUIRE(kept.becomes("stopped"));

    Failing dead(with(FailurePolicy::debug), unlaunchable());
    REQUIRE(dead.becomes("failed"));
    CHECK(dead.rig.row(dead.vm).blocked);
}

TEST_CASE("what a failed VM said last is kept with the reason, for root only and not without end") {
    const log::Capture quiet;
    Failing one(with(FailurePolicy::ignore), without_agent());
    REQUIRE(one.becomes("starting_2"));
    const std::string console = run_folder() + "/vm/" + one.vm.text() + ".console.log";
    REQUIRE(file::make_folders(run_folder() + "/vm").ok());
    REQUIRE(file::write_atomic(console, std::string(500'000, 'x') + "\nKernel panic\n", 0600).ok());
    REQUIRE(one.becomes("failed"));
    std::filesystem::remove(console);
    const auto kept = kept_logs().find(one.vm);
    REQUIRE(kept.has_value());
    CHECK(kept->why.find("incarnation 1, vm.no_agent: its agent did not come up") !=
          std::string::npos);
    CHECK(kept->console == "Kernel panic\n");
    CHECK(kept->agent.empty());
    const std::string folder = kept_logs_folder(test_view()) + "/" + one.vm.text();
    struct stat status {};
    REQUIRE(::stat(folder.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777U) == 0700U);
    CHECK(std::filesystem::file_size(folder + "/console.log") <= KeptLogs::most_bytes);
    CHECK(kept_logs().retain({}) > 0);
    CHECK_FALSE(kept_logs().find(one.vm).has_value());
}

TEST_CASE("a VM that was stopped or shut itself down leaves no failure behind") {
    Failing one(with(FailurePolicy::ignore), Temper{});
    REQUIRE(one.becomes("running"));
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("stopped"));
    CHECK_FALSE(kept_logs().find(one.vm).has_value());
}

TEST_CASE("an agent's log is read inside the VM's file system, wherever its links point" *
          doctest::test_suite("needs root")) {
    if (::geteuid() != 0)
        return qvd::test::skip("only root gives a process a file system of its own");
    const std::string root = run_folder() + "/root";
    REQUIRE(file::make_folders(root + "/var/log").ok());
    REQUIRE(file::make_folders(root + "/etc").ok());
    REQUIRE(file::write_atomic(root + "/etc/secret", "the VM's own\n", 0600).ok());
    REQUIRE(file::write_atomic(root + "/var/log/plain", "hello\n", 0600).ok());
    REQUIRE(file::write_atomic(run_folder() + "/outside", "the node's\n", 0600).ok());
    std::filesystem::create_symlink("../../../../../etc/secret", root + "/var/log/up");
    std::filesystem::create_symlink(run_folder() + "/outside", root + "/var/log/out");
    REQUIRE(::mkfifo((root + "/var/log/pipe").c_str(), 0600) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        const bool there = ::chroot(root.c_str()) == 0 && ::chdir("/") == 0;
        if (!there) ::_exit(1);
        for (;;) ::pause();
    }
    REQUIRE(child > 0);
    std::string plain;
    for (int look = 0; look < 1000 && plain.empty(); ++look) {
        plain = tail_within(child, "/var/log/plain", 100);
        if (plain.empty()) ::usleep(1'000);
    }
    CHECK(plain == "hello\n");
    CHECK(tail_within(child, "/var/log/up", 100) == "the VM's own\n");
    CHECK(tail_within(child, "/var/log/out", 100).empty());
    CHECK(tail_within(child, "/var/log/pipe", 100).empty());
    CHECK(tail_within(::getpid(), "/etc/passwd", 100).empty());
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
}
