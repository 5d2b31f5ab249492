// The lives of VMs on a node, with a pretended hypervisor and a database in memory.
#include "base/log.hpp"
#include "tests/hkd/running_vm.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

TEST_CASE(
    "an ordered VM goes through starting_1 and starting_2 to running, its address known first") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "starting_1"; }));
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "starting_2"; }));
    const auto access = rig.ask(rig.store().agent_access(vm)).value();
    CHECK(access.address == "10.3.15.254");
    CHECK(access.agent_port == 3030);
    CHECK(access.nx_port == 4100);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
    CHECK(rig.row(vm).current_di.has_value());
    CHECK(rig.row(vm).reason.empty());
    CHECK(rig.world.violations.empty());
}

TEST_CASE("an agent that comes up after 300 ms is noticed within 200 ms") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return !rig.world.processes.empty(); }));
    const auto launched = rig.world.clock.now();
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
    CHECK(rig.world.clock.now() - launched < Milliseconds{500});
}

TEST_CASE("a lost announcement costs a second at most") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.boot();
    rig.pass(Milliseconds{10'000});
    rig.announcements_arrive = false;
    rig.order_start(vm);
    const auto ordered = rig.world.clock.now();
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "starting_1"; }));
    CHECK(rig.world.clock.now() - ordered <= Milliseconds{1000});
}

TEST_CASE("an announced order is taken without any time passing") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.boot();
    rig.pass(Milliseconds{10'300});
    const auto before = rig.world.clock.now();
    rig.order_start(vm);
    rig.settle();
    CHECK(rig.stage(vm) == "starting_1");
    CHECK(rig.world.clock.now() == before);
}

TEST_CASE("a stop goes by the agent, and nothing is left") {
    RunningVm one;
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("stopping_1"));
    REQUIRE(one.becomes("stopping_2"));
    REQUIRE(one.becomes("stopped"));
    CHECK(nothing_left(one.rig));
    CHECK_FALSE(one.rig.row(one.vm).node.has_value());
    CHECK_FALSE(one.rig.row(one.vm).blocked);
}

TEST_CASE("an agent that refuses to power off is overruled by the hypervisor") {
    RunningVm one;
    one.process().temper.accepts_poweroff = false;
    one.rig.order_stop(one.vm);
    const auto ordered = one.rig.world.clock.now();
    REQUIRE(one.becomes("stopped"));
    CHECK(one.since(ordered) < Milliseconds{1000});
    CHECK(nothing_left(one.rig));
}

TEST_CASE("a VM that ignores everything is terminated and killed by the documented time-outs") {
    RunningVm one;
    one.process().mute = true;
    one.process().temper.heeds_stop = false;
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("stopping_1"));
    const auto ordered = one.rig.world.clock.now();
    // Three calls of 3 s, 5 s apart, then the hypervisor is asked.
    REQUIRE(one.becomes("stopping_2"));
    CHECK(one.since(ordered) < Milliseconds{20'000});
    REQUIRE(one.becomes("zombie_1"));
    const auto zombie = one.rig.world.clock.now();
    // zombie_2 lasts as long as the destroying: it may be over before we look.
    REQUIRE(one.becomes("stopped"));
    CHECK(one.since(zombie) >= Milliseconds{120'000});
    CHECK(one.since(ordered) < Milliseconds{330'000});
    CHECK(nothing_left(one.rig));
}

TEST_CASE("what cannot be destroyed stays a zombie until it can") {
    RunningVm one;
    one.process().temper.destroys_that_fail = 3;
    one.process().mute = true;
    one.process().temper.heeds_stop = false;
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("zombie_2"));
    const auto killed = one.rig.world.clock.now();
    REQUIRE(one.becomes("stopped"));
    CHECK(one.since(killed) >= Milliseconds{180'000});
    CHECK(nothing_left(one.rig));
}

TEST_CASE(
    "a VM whose agent never answers fails within the client's patience, says why and is blocked") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.world.temper.agent_after.reset();
    rig.boot();
    rig.order_start(vm);
    const auto ordered = rig.world.clock.now();
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "zombie_1"; }));
    CHECK(rig.world.clock.now() - ordered < Milliseconds{240'000});
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "failed"; }));
    const VmRuntime row = rig.row(vm);
    CHECK(row.blocked);
    CHECK(row.attempt == 1);
    CHECK(row.reason.find("its agent has not answered for") != std::string::npos);
    CHECK(nothing_left(rig));
}

TEST_CASE("a VM that cannot be launched fails with the backend's own sentence") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.world.temper.launches = false;
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "failed"; }));
    CHECK(rig.row(vm).reason == "the kernel said no");
    CHECK(nothing_left(rig));
}

TEST_CASE("with hkd.vm.failure = ignore a failed VM is not blocked, and starts when ordered") {
    Limits limits;
    limits.failure = FailurePolicy::ignore;
    Rig rig(1, limits);
    const VmId vm = rig.vms().front();
    rig.world.temper.launches = false;
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "failed"; }));
    CHECK_FALSE(rig.row(vm).blocked);
    rig.world.temper.launches = true;
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
    rig.pass(Milliseconds{3'600'000});
    CHECK(rig.row(vm).attempt == 0);
}

TEST_CASE(
    "with hkd.vm.failure = retry a VM is started again, later each time, and in the end blocked") {
    Limits limits;
    limits.failure = FailurePolicy::retry;
    Rig rig(1, limits);
    const VmId vm = rig.vms().front();
    rig.world.temper.launches = false;
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.row(vm).blocked; }));
    CHECK(rig.row(vm).attempt == 5);
    CHECK(rig.stage(vm) == "failed");
}

TEST_CASE("a VM that its user shuts down is stopped and not blocked") {
    RunningVm one;
    one.rig.world.end(one.rig.uuid(one.vm), BackendState::stopped, "");
    REQUIRE(one.becomes("stopped"));
    CHECK_FALSE(one.rig.row(one.vm).blocked);
    CHECK(one.rig.row(one.vm).reason == "it shut itself down");
    CHECK(nothing_left(one.rig));
}

TEST_CASE("the end of a running VM is noticed at once") {
    RunningVm one;
    const auto now = one.rig.world.clock.now();
    one.rig.world.end(one.rig.uuid(one.vm), BackendState::crashed, "out of memory");
    REQUIRE(one.becomes("failed"));
    CHECK(one.since(now) < Milliseconds{50});
    CHECK(one.rig.row(one.vm).reason == "out of memory");
    CHECK(one.rig.row(one.vm).blocked);
}

TEST_CASE("a running VM whose agent falls silent is lost after the documented 320 s") {
    RunningVm one;
    one.process().mute = true;
    const auto mute = one.rig.world.clock.now();
    REQUIRE(one.becomes("zombie_1"));
    CHECK(one.since(mute) > Milliseconds{320'000});
    CHECK(one.since(mute) < Milliseconds{460'000});
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).reason.find("its agent has not answered") == 0);
}

TEST_CASE("a node without a broker loses no VM") {
    RunningVm one;
    one.rig.world.broker_down = true;
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.stage(one.vm) == "running");
}

TEST_CASE("a database that is away while a VM boots costs time, but not the VM") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.world.temper.agent_after = Milliseconds{400'000};
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "starting_2"; }));
    rig.pass(Milliseconds{100'000});
    // The broker cannot ask it where the agent is, either.
    rig.store().fail_with_unavailable(true);
    rig.pass(Milliseconds{250'000});
    rig.store().fail_with_unavailable(false);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) != "starting_2"; }));
    CHECK(rig.stage(vm) == "running");
}

TEST_CASE("a node without a database loses no VM, and catches up") {
    RunningVm one;
    one.rig.store().fail_with_unavailable(true);
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.world.processes.size() == 1);
    one.rig.world.end(one.rig.uuid(one.vm), BackendState::stopped, "");
    one.rig.pass(Milliseconds{5'000});
    one.rig.store().fail_with_unavailable(false);
    REQUIRE(one.becomes("stopped"));
}

TEST_CASE(
    "with internal.vm.debug.enable a VM whose agent does not come up is kept, and may recover") {
    Limits limits;
    limits.keep_for_debugging = true;
    Rig rig(1, limits);
    const VmId vm = rig.vms().front();
    rig.world.temper.agent_after.reset();
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "debug"; }));
    rig.pass(Milliseconds{600'000});
    CHECK(rig.world.processes.size() == 1);
    rig.world.processes.at(rig.uuid(vm)).temper.agent_after = Milliseconds{0};
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
}

TEST_CASE("no more VMs start at once than hkd.vm.starting.max allows, and all get their turn") {
    Limits limits;
    limits.starting_max = 3;
    Rig rig(20, limits);
    rig.boot();
    for (const VmId vm : rig.vms()) rig.order_start(vm);
    REQUIRE(rig.pass_until([&] {
        return std::all_of(rig.vms().begin(), rig.vms().end(),
                           [&](VmId vm) { return rig.stage(vm) == "running"; });
    }));
    CHECK(rig.world.most_booting == 3);
    CHECK(rig.world.violations.empty());
}

TEST_CASE("one image is prepared once, however many VMs wait for it") {
    Rig rig(5);
    rig.world.temper.image = Milliseconds{60'000};
    rig.boot();
    for (const VmId vm : rig.vms()) rig.order_start(vm);
    rig.pass(Milliseconds{30'000});
    CHECK(rig.world.image_calls == 1);
    CHECK(rig.here().facts().front().doing == "unpacking the image: 10 %");
}

TEST_CASE("a stop while the image is unpacked ends the start at once") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.world.temper.image = Milliseconds{600'000};
    rig.boot();
    rig.order_start(vm);
    rig.pass(Milliseconds{1'000});
    const auto before = rig.world.clock.now();
    rig.order_stop(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "stopped"; }));
    CHECK(rig.world.clock.now() - before < Milliseconds{100});
    CHECK_FALSE(rig.row(vm).blocked);
}

TEST_CASE("a stop during the launch waits for it and leaves nothing") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.world.temper.launch = Milliseconds{4'000};
    rig.boot();
    rig.order_start(vm);
    rig.pass(Milliseconds{2'500});
    REQUIRE(rig.world.processes.size() == 1);
    rig.order_stop(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "stopped"; }));
    CHECK(nothing_left(rig));
    CHECK(rig.world.violations.empty());
}

TEST_CASE("a VM can be started again as soon as it has stopped") {
    RunningVm one;
    for (int round = 0; round < 5; ++round) {
        one.rig.order_stop(one.vm);
        REQUIRE(one.becomes("stopped"));
        one.rig.order_start(one.vm);
        REQUIRE(one.becomes("running"));
    }
    CHECK(one.process().incarnation == 6);
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a VM whose row somebody else has changed must not run here") {
    RunningVm one;
    store::VmTransition change;
    change.vm = one.vm;
    change.incarnation = one.process().incarnation;
    change.from = {VmState::running};
    REQUIRE(one.rig.ask(one.rig.store().clear_vm(change)).ok());
    const log::Capture log;
    one.process().mute = true;
    REQUIRE(one.rig.pass_until([&] { return one.rig.world.processes.empty(); }));
    CHECK(log.contains("vm.disowned"));
    CHECK(nothing_left(one.rig));
}

TEST_CASE("an end that no backend reports is found by comparing") {
    RunningVm one;
    one.rig.world.processes.clear();
    one.rig.compare();
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).reason.find("nobody said why") != std::string::npos);
}

TEST_CASE("an evacuation stops everything, also what does not want to") {
    Rig rig(6);
    rig.boot();
    for (const VmId vm : rig.vms()) rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.world.processes.size() == 6; }));
    rig.pass(Milliseconds{2'000});
    rig.world.processes.at(rig.uuid(rig.vms()[2])).mute = true;
    rig.world.processes.at(rig.uuid(rig.vms()[2])).temper.heeds_stop = false;
    rig.world.temper.image = Milliseconds{0};
    rig.evacuate();
    REQUIRE(rig.pass_until([&] { return rig.here().size() == 0; }));
    for (const VmId vm : rig.vms()) CHECK(rig.stage(vm) == "stopped");
    CHECK(nothing_left(rig));
    CHECK(rig.world.violations.empty());
}

TEST_CASE("a start whose address is outside the VMs' network fails with a sentence that says so") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    store::Store::VmEdit edit;
    edit.address = "192.168.1.1";
    REQUIRE(rig.ask(rig.store().edit_vm(vm, edit)).ok());
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "failed"; }));
    CHECK(rig.row(vm).reason.find("10.3.15.50 to 10.3.15.254") != std::string::npos);
}
