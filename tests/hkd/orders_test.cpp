// What is ordered of VMs besides start and stop: pause, suspend and the like.
#include "base/log.hpp"
#include "tests/hkd/running_vm.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

namespace {

struct Orders : RunningVm {
    std::int64_t order(VmCommand command, const std::string& argument = "") {
        return rig.ask(rig.store().order(vm, command, argument)).value();
    }
    std::string refusal(VmCommand command) {
        const auto given = rig.ask(rig.store().order(vm, command, ""));
        return given.ok() ? "" : given.error().code();
    }
    // The code of its answer, once there is one; "done: PATH" if it has none.
    std::string answer(std::int64_t number) {
        std::string said;
        const bool there = rig.pass_until([&] {
            const auto answer = rig.ask(rig.store().order_answer(vm, number)).value();
            if (answer) said = answer->code.empty() ? "done: " + answer->text : answer->code;
            return answer.has_value();
        });
        return there ? said : "none";
    }
    std::string obeyed(VmCommand command, const std::string& argument = "") {
        return answer(order(command, argument));
    }
};

}  // namespace

TEST_CASE("a VM is paused and goes on; its agent's silence meanwhile is not held against it") {
    Orders one;
    CHECK(one.obeyed(VmCommand::pause) == "done: ");
    CHECK(one.rig.stage(one.vm) == "paused");
    CHECK(one.process().paused);
    one.rig.pass(Milliseconds{2 * 3'600'000});
    CHECK(one.rig.stage(one.vm) == "paused");
    CHECK(one.obeyed(VmCommand::unpause) == "done: ");
    CHECK(one.rig.stage(one.vm) == "running");
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.stage(one.vm) == "running");
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("an order that the hypervisor cannot carry out is refused with its code and sentence") {
    Orders one;
    one.rig.world.refuses =
        Error(ErrorKind::unsupported, "hypervisor.cannot", "the hypervisor fake cannot do that");
    const auto number = one.order(VmCommand::suspend);
    CHECK(one.answer(number) == "hypervisor.cannot");
    const auto answer = one.rig.ask(one.rig.store().order_answer(one.vm, number)).value();
    CHECK(answer->text == "the hypervisor fake cannot do that");
    CHECK(one.rig.stage(one.vm) == "running");
}

TEST_CASE("a suspended VM needs no process, no memory and no handler, and comes back as it was") {
    Orders one;
    const std::int64_t incarnation = one.process().incarnation;
    CHECK(one.obeyed(VmCommand::suspend) == "done: ");
    CHECK(one.rig.stage(one.vm) == "suspended");
    CHECK(one.rig.world.processes.empty());
    CHECK(one.rig.here().size() == 0);
    CHECK(one.rig.row(one.vm).saved_path == "/saved/" + one.rig.uuid(one.vm));
    CHECK(one.rig.ask(one.rig.store().nodes()).value().front().reserved_mib == 0);
    one.rig.compare();
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.stage(one.vm) == "suspended");
    CHECK(one.obeyed(VmCommand::resume) == "done: ");
    CHECK(one.rig.stage(one.vm) == "running");
    CHECK(one.process().incarnation == incarnation);
    CHECK(one.rig.ask(one.rig.store().nodes()).value().front().reserved_mib > 0);
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a suspended VM outlives hkd, and one that could not be resumed stays suspended") {
    Orders one;
    REQUIRE(one.obeyed(VmCommand::suspend) == "done: ");
    one.rig.crash();
    one.rig.boot();
    one.rig.pass(Milliseconds{10'000});
    CHECK(one.rig.stage(one.vm) == "suspended");
    one.rig.world.refuses = Error(ErrorKind::unavailable, "backend.failed", "the disk is full");
    CHECK(one.obeyed(VmCommand::resume) == "backend.failed");
    CHECK(one.rig.stage(one.vm) == "suspended");
    CHECK(one.rig.here().size() == 0);
    CHECK(one.rig.ask(one.rig.store().nodes()).value().front().reserved_mib == 0);
    one.rig.world.refuses.reset();
    CHECK(one.obeyed(VmCommand::resume) == "done: ");
    CHECK(one.rig.stage(one.vm) == "running");
}

TEST_CASE("an hkd that dies while it suspends or resumes a VM loses nothing") {
    for (const int moment : {1, 5, 6, 8}) {
        CAPTURE(moment);
        Orders one;
        (void)one.order(VmCommand::suspend);
        one.rig.pass(Milliseconds{moment});
        one.rig.crash();
        one.rig.boot();
        REQUIRE(one.rig.pass_until([&] {
            const std::string stage = one.rig.stage(one.vm);
            return one.rig.world.saved.empty() ? stage == "running" : stage == "suspended";
        }));
        if (one.rig.stage(one.vm) != "suspended")
            REQUIRE(one.obeyed(VmCommand::suspend) == "done: ");
        (void)one.order(VmCommand::resume);
        one.rig.pass(Milliseconds{moment});
        one.rig.crash();
        one.rig.boot();
        one.rig.pass(Milliseconds{5'000});
        const bool runs = one.rig.world.processes.size() == 1;
        CHECK(runs != (one.rig.world.saved.size() == 1));
        CHECK(one.rig.stage(one.vm) == (runs ? "running" : "suspended"));
        CHECK(one.rig.world.violations.empty());
    }
}

TEST_CASE("a stop ends paused and suspended VMs, and nothing is left") {
    for (const VmCommand command : {VmCommand::pause, VmCommand::suspend}) {
        Orders one;
        REQUIRE(one.obeyed(command) == "done: ");
        one.rig.order_stop(one.vm);
        REQUIRE(one.becomes("stopped"));
        CHECK(nothing_left(one.rig));
        CHECK(one.rig.world.saved.empty());
        CHECK_FALSE(one.rig.row(one.vm).blocked);
        one.rig.order_start(one.vm);
        REQUIRE(one.becomes("running"));
        CHECK(one.rig.world.violations.empty());
    }
}

TEST_CASE("a stop that comes while a VM is being suspended wins") {
    Orders one;
    one.rig.world.order_takes = Milliseconds{60'000};
    one.process().mute =
        true;  // it would shut down otherwise, and there would be nothing to suspend
    const auto order = one.order(VmCommand::suspend);
    one.rig.pass(Milliseconds{1'000});
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("stopped"));
    CHECK(one.answer(order) == "vm.ended");
    CHECK(one.rig.world.saved.empty());
    CHECK(nothing_left(one.rig));
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a VM that dies while it stands still has failed") {
    Orders one;
    REQUIRE(one.obeyed(VmCommand::pause) == "done: ");
    one.rig.world.end(one.rig.uuid(one.vm), BackendState::crashed, "out of memory");
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).reason_code == "vm.crashed");
}

TEST_CASE("a hard expiry ends paused and suspended VMs; a soft one does not wake them") {
    for (const VmCommand command : {VmCommand::pause, VmCommand::suspend}) {
        Orders one;
        REQUIRE(one.obeyed(command) == "done: ");
        const std::string stage = one.rig.stage(one.vm);
        const Timestamp now = one.rig.ask(one.rig.store().now()).value();
        one.rig.store().set_expiry(one.vm, now, now + std::chrono::hours(1));
        one.rig.expire();
        one.rig.pass(Milliseconds{1'000});
        CHECK(one.rig.stage(one.vm) == stage);
        one.rig.pass(Milliseconds{3'600'000});
        one.rig.expire();
        // What stood still is restarted like any other; what was on disk waits for its user.
        if (command == VmCommand::suspend)
            REQUIRE(one.becomes("stopped"));
        else
            REQUIRE(one.rig.pass_until([&] {
                return one.rig.stage(one.vm) == "running" && one.rig.row(one.vm).incarnation == 2;
            }));
        CHECK(one.rig.world.saved.empty());
    }
}

TEST_CASE("an evacuated node keeps its suspended VMs on disk") {
    Orders one;
    REQUIRE(one.obeyed(VmCommand::suspend) == "done: ");
    one.rig.evacuate();
    one.rig.pass(Milliseconds{5'000});
    CHECK(one.rig.stage(one.vm) == "suspended");
    CHECK(one.rig.world.saved.size() == 1);
}

TEST_CASE("what does not fit the VM's state is refused before the node hears of it") {
    Orders one;
    CHECK(one.refusal(VmCommand::unpause) == "vm.state");
    CHECK(one.refusal(VmCommand::resume) == "vm.state");
    CHECK(one.obeyed(VmCommand::snapshot, "monday") == "done: /snapshots/monday");
    CHECK(one.obeyed(VmCommand::checkpoint).starts_with("done: /"));
    CHECK(one.obeyed(VmCommand::reset) == "done: ");
    CHECK(one.rig.stage(one.vm) == "running");
}
