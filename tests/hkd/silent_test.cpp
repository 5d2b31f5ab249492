// One of several hypervisors of a node does not say what it runs when hkd comes up.
#include "tests/hkd/world.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;

namespace {

// VMs of kvm and one of the default hypervisor; kvm falls silent while no hkd is there.
struct Silent {
    Silent() : rig(4) {
        for (const VmId vm : {runs, gone, rests})
            REQUIRE(rig.ask(rig.store().set_properties(store::Owner::vm, vm.value(),
                                                       {{"vm.hypervisor", "kvm"}}))
                        .ok());
        rig.boot();
        for (const VmId vm : {runs, gone, other}) rig.order_start(vm);
        REQUIRE(rig.pass_until([&] {
            return rig.stage(runs) == "running" && rig.stage(gone) == "running" &&
                   rig.stage(other) == "running";
        }));
        rig.crash();
        rig.world.silent = {"kvm"};
        rig.boot();
        rig.pass(Milliseconds{5'000});
    }
    void answer() {
        rig.world.silent.clear();
        rig.pass(Milliseconds{3'000});
    }
    store::VmRecord row(VmId vm) { return rig.ask(rig.store().vm(vm)).value().value(); }

    Rig rig;
    VmId runs = rig.vms().at(0);
    VmId gone = rig.vms().at(1);
    VmId rests = rig.vms().at(2);
    VmId other = rig.vms().at(3);
};

}  // namespace

TEST_CASE("a silent hypervisor holds up none of the others' VMs") {
    Silent one;
    one.rig.order_stop(one.other);
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.other) == "stopped"; }));
    one.rig.order_start(one.other);
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.other) == "running"; }));
    CHECK(one.rig.stage(one.runs) == "running");
}

TEST_CASE("none of a silent hypervisor's VMs starts, and that is no fault of theirs") {
    Silent one;
    one.rig.order_start(one.rests);
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.rests) == "failed"; }));
    const store::VmRecord row = one.row(one.rests);
    CHECK(row.runtime.reason_code == "hypervisor.silent");
    CHECK(row.runtime.reason.find("the hypervisor kvm does not say what it runs: it is away") == 0);
    CHECK_FALSE(row.runtime.blocked);
    CHECK(row.runtime.attempt == 0);
    CHECK(one.rig.world.most_starting <= 3);
    CHECK_FALSE(one.rig.world.processes.contains(one.rig.uuid(one.rests)));
    one.answer();
    one.rig.order_start(one.rests);
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.rests) == "running"; }));
}

TEST_CASE("what a silent hypervisor runs is adopted once it answers, and what it does not ends") {
    Silent one;
    one.rig.world.processes.erase(one.rig.uuid(one.gone));
    one.rig.pass(Milliseconds{400'000});
    CHECK(one.rig.stage(one.runs) == "running");
    CHECK(one.rig.stage(one.gone) == "running");
    const auto incarnation = one.row(one.other).runtime.incarnation;
    one.answer();
    CHECK(one.rig.stage(one.runs) == "running");
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.gone) == "stopped"; }));
    CHECK(one.row(one.gone).runtime.reason_code == "vm.not_there");
    CHECK(one.row(one.other).runtime.incarnation == incarnation);
    CHECK(one.rig.stage(one.other) == "running");
    // It is looked after again.
    one.rig.world.end(one.rig.uuid(one.runs), plugin::BackendState::crashed, "it panicked");
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.runs) == "failed"; }));
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a stop waits for a silent hypervisor, and any other order is refused with the reason") {
    Silent one;
    const auto number = one.rig.ask(one.rig.store().order(one.gone, VmCommand::pause, "")).value();
    one.rig.order_stop(one.runs);
    one.rig.pass(Milliseconds{20'000});
    CHECK(one.rig.stage(one.runs) == "running");
    CHECK(one.row(one.runs).runtime.command == VmCommand::stop);
    const auto answer = one.rig.ask(one.rig.store().order_answer(one.gone, number)).value();
    REQUIRE(answer.has_value());
    CHECK(answer->code == "hypervisor.silent");
    one.answer();
    REQUIRE(one.rig.pass_until([&] { return one.rig.stage(one.runs) == "stopped"; }));
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a start that is to be tried again waits for a silent hypervisor") {
    Limits limits;
    limits.failure = FailurePolicy::retry;
    Rig rig(1, limits);
    const VmId vm = rig.vms().at(0);
    REQUIRE(rig.ask(rig.store().set_properties(store::Owner::vm, vm.value(),
                                               {{"vm.hypervisor", "kvm"}}))
                .ok());
    rig.boot();
    rig.world.temper.launches = false;
    rig.order_start(vm);
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "failed"; }));
    const std::string why = rig.row(vm).reason_code;
    rig.crash();
    rig.world.silent = {"kvm"};
    rig.world.temper.launches = true;
    rig.boot();
    rig.pass(Milliseconds{120'000});
    CHECK(rig.stage(vm) == "failed");
    CHECK(rig.row(vm).reason_code == why);
    rig.world.silent.clear();
    REQUIRE(rig.pass_until([&] { return rig.stage(vm) == "running"; }));
}

TEST_CASE("VMs of a hypervisor that hangs do not delay what is told of the others") {
    Limits limits;
    limits.starting_max = 12;
    Rig rig(12, limits);
    const VmId last = rig.vms().back();
    for (const VmId vm : rig.vms())
        if (vm != last)
            REQUIRE(rig.ask(rig.store().set_properties(store::Owner::vm, vm.value(),
                                                       {{"vm.hypervisor", "kvm"}}))
                        .ok());
    rig.boot();
    for (const VmId vm : rig.vms()) rig.order_start(vm);
    REQUIRE(rig.pass_until([&] {
        return std::ranges::all_of(rig.vms(), [&](VmId vm) { return rig.stage(vm) == "running"; });
    }));
    rig.world.hanging = {"kvm"};
    rig.report_usage();
    rig.pass(Milliseconds{5'000});
    CHECK(rig.ask(rig.store().vm(last)).value()->memory_bytes > 0);
    CHECK(rig.ask(rig.store().vm(rig.vms().front())).value()->memory_bytes == 0);
}
