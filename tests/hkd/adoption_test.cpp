// What a new hkd makes of the VMs that the one before it left.
#include "base/log.hpp"
#include "tests/hkd/running_vm.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

TEST_CASE("VMs run on without hkd, and the next one adopts them") {
    RunningVm one;
    const std::int64_t incarnation = one.process().incarnation;
    one.rig.crash();
    one.rig.pass(Milliseconds{3'600'000});
    one.rig.boot();
    const auto back = one.rig.world.clock.now();
    REQUIRE(one.rig.pass_until([&] { return one.rig.here().size() == 1; }));
    CHECK(one.since(back) < Milliseconds{2'000});
    CHECK(one.rig.stage(one.vm) == "running");
    CHECK(one.process().incarnation == incarnation);
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("stopped"));
    CHECK(nothing_left(one.rig));
}

TEST_CASE("a VM that ended while hkd was away is written down, and is not to blame") {
    RunningVm one;
    one.rig.crash();
    one.rig.world.end(one.rig.uuid(one.vm), BackendState::crashed, "");
    one.rig.boot();
    REQUIRE(one.becomes("stopped"));
    CHECK(one.rig.row(one.vm).reason.find("when hkd came back") != std::string::npos);
    CHECK_FALSE(one.rig.row(one.vm).blocked);
    CHECK(nothing_left(one.rig));
}

TEST_CASE("a VM that the database does not place here is destroyed") {
    Rig rig(1);
    Process stray;
    stray.uuid = "0000-stray";
    stray.vm = VmId{77};
    stray.incarnation = 3;
    stray.hypervisor = "lxc-unionfs";
    rig.world.processes[stray.uuid] = stray;
    const log::Capture log;
    rig.boot();
    REQUIRE(rig.pass_until([&] { return rig.world.processes.empty(); }));
    CHECK(log.contains("vm.unknown_destroyed"));
}

TEST_CASE("an older incarnation than the database's is not adopted") {
    RunningVm one;
    one.rig.crash();
    one.process().incarnation = 0;
    one.rig.boot();
    REQUIRE(one.becomes("stopped"));
    CHECK(nothing_left(one.rig));
}

TEST_CASE("a start whose hkd goes before it has launched the VM goes on with the next hkd") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    SUBCASE("while the image is unpacked") {
        rig.world.temper.image = Milliseconds{20'000};
    }
    SUBCASE("in the middle of the launch") {
        rig.world.temper.launch = Milliseconds{30'000};
    }
    rig.boot();
    rig.order_start(vm);
    rig.pass(Milliseconds{10'000});
    REQUIRE(rig.stage(vm) == "starting_1");
    REQUIRE(rig.world.processes.empty());
    rig.crash();
    rig.pass(Milliseconds{500});
    rig.boot();
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) != "starting_1"; }));
    CHECK(rig.stage(vm) == "starting_2");
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
    CHECK(rig.row(vm).incarnation == 2);
    CHECK(rig.row(vm).attempt == 0);
    CHECK(rig.world.violations.empty());
}

TEST_CASE("a start that cannot go on because its image is gone is given up") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    rig.world.temper.image = Milliseconds{20'000};
    rig.boot();
    rig.order_start(vm);
    rig.pass(Milliseconds{1'000});
    rig.crash();
    store::Store::VmEdit edit;
    edit.di_tag = "nightly";
    REQUIRE(rig.ask(rig.store().edit_vm(vm, edit)).ok());
    rig.boot();
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) != "starting_1"; }));
    CHECK(rig.stage(vm) == "failed");
    CHECK_FALSE(rig.row(vm).blocked);
    CHECK(nothing_left(rig));
}

TEST_CASE("VMs of another hypervisor than the node's are found again, and end by their own") {
    Rig rig(1);
    const VmId vm = rig.vms().front();
    REQUIRE(rig.ask(rig.store().set_properties(store::Owner::vm, vm.value(),
                                               {{"vm.hypervisor", "kvm"}}))
                .ok());
    rig.boot();
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
    CHECK(rig.row(vm).hypervisor == "kvm");
    SUBCASE("as they were told") {
    }
    SUBCASE("when the property has been changed meanwhile") {
        REQUIRE(rig.ask(rig.store().set_properties(store::Owner::vm, vm.value(),
                                                   {{"vm.hypervisor", "lxc"}}))
                    .ok());
    }
    rig.crash();
    rig.boot();
    rig.pass(Milliseconds{2'000});
    CHECK(rig.stage(vm) == "running");
    rig.world.processes.at(rig.uuid(vm)).mute = true;
    rig.world.processes.at(rig.uuid(vm)).temper.heeds_stop = false;
    rig.order_stop(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "stopped"; }));
    CHECK(rig.world.violations.empty());
    CHECK(nothing_left(rig));
}

TEST_CASE("while a hypervisor does not say what it runs, none of its VMs is given up") {
    Rig rig(2);
    const VmId lost = rig.vms().front();
    const VmId other = rig.vms().back();
    REQUIRE(rig.ask(rig.store().set_properties(store::Owner::vm, lost.value(),
                                               {{"vm.hypervisor", "kvm"}}))
                .ok());
    rig.boot();
    rig.order_start(lost);
    rig.order_start(other);
    REQUIRE(rig.pass_until(
        [&] { return rig.stage(lost) == "running" && rig.stage(other) == "running"; }));
    SUBCASE("at the node's start") {
        rig.crash();
        rig.world.silent = {"kvm"};
        rig.boot();
        rig.pass(Milliseconds{5'000});
        CHECK(rig.stage(lost) == "running");
        // The others' VMs are looked after all the same.
        rig.world.end(rig.uuid(other), BackendState::crashed, "the guest panicked");
        REQUIRE(rig.pass_until([&] { return rig.stage(other) == "failed"; }));
    }
    SUBCASE("later") {
        rig.world.silent = {"kvm"};
        rig.pass(Milliseconds{200'000});
        CHECK(rig.stage(lost) == "running");
    }
    rig.world.silent.clear();
    rig.pass(Milliseconds{30'000});
    CHECK(rig.stage(lost) == "running");
    rig.order_stop(lost);
    REQUIRE(rig.pass_until([&] { return rig.stage(lost) == "stopped"; }));
    CHECK(rig.world.violations.empty());
}
