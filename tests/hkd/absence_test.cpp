// Orders that make a guest stand still, or go for a while: nobody may miss it meanwhile.
#include "tests/hkd/running_vm.hpp"

#include <doctest/doctest.h>

#include <cerrno>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

namespace {

struct Absent : RunningVm {
    explicit Absent(Milliseconds away) : RunningVm(storing()) { rig.world.away_for = away; }

    std::int64_t order(VmCommand command) {
        return rig.ask(rig.store().order(vm, command, "")).value();
    }
    // Its code, "done" or "none".
    std::string answer(std::int64_t number) {
        const auto said = rig.ask(rig.store().order_answer(vm, number)).value();
        if (!said) return "none";
        return said->code.empty() ? "done" : said->code;
    }
    // Nobody ordered that, nor is told.
    void goes_to_disk(bool paused) {
        if (paused) {
            (void)order(VmCommand::pause);
            REQUIRE(becomes("paused"));
        }
        rig.world.away.insert(rig.world.processes.extract(rig.uuid(vm)));
    }
    // As the node does it.
    void look_each_minute(int minutes) {
        for (int minute = 0; minute < minutes; ++minute) {
            rig.pass(Milliseconds{60'000});
            rig.compare();
        }
        rig.pass(Milliseconds{1'000});
    }
    std::string reason() { return rig.row(vm).reason_code; }
};

constexpr Milliseconds ten_minutes{600'000};

}  // namespace

TEST_CASE("a VM that is being copied is missed by nobody, and runs on as the one it was") {
    for (const Milliseconds away : {Milliseconds{90'000}, ten_minutes}) {
        CAPTURE(away.count());
        Absent one(away);
        const std::int64_t incarnation = one.process().incarnation;
        // Its agent may have answered two minutes ago.
        one.rig.pass(Milliseconds{119'000});
        const auto number = one.order(VmCommand::checkpoint);
        one.rig.pass(Milliseconds{1'000});
        CHECK(one.rig.world.processes.empty());
        one.look_each_minute(1);
        CHECK(one.answer(number) == "none");
        CHECK(one.rig.stage(one.vm) == "running");
        one.look_each_minute(10);
        CHECK(one.answer(number) == "done");
        CHECK(one.rig.stage(one.vm) == "running");
        CHECK(one.process().incarnation == incarnation);
        one.look_each_minute(20);
        CHECK(one.rig.stage(one.vm) == "running");
        CHECK_FALSE(one.rig.row(one.vm).blocked);
        CHECK(one.rig.world.violations.empty());
    }
}

TEST_CASE("a suspension may take ten minutes: its memory is kept, and it comes back") {
    Absent one(ten_minutes);
    one.rig.pass(Milliseconds{119'000});
    const auto number = one.order(VmCommand::suspend);
    one.look_each_minute(12);
    CHECK(one.answer(number) == "done");
    REQUIRE(one.rig.stage(one.vm) == "suspended");
    CHECK(one.rig.world.saved.size() == 1);
    one.rig.world.order_takes = ten_minutes;
    (void)one.order(VmCommand::resume);
    one.look_each_minute(12);
    CHECK(one.rig.stage(one.vm) == "running");
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("an agent that is silent after a checkpoint is given the whole time again, and no more") {
    Absent one(ten_minutes);
    (void)one.order(VmCommand::checkpoint);
    one.rig.pass(ten_minutes);
    one.rig.pass(Milliseconds{1'000});
    one.process().mute = true;
    one.rig.pass(Milliseconds{300'000});
    CHECK(one.rig.stage(one.vm) == "running");
    REQUIRE(one.becomes("failed"));
    CHECK(one.reason() == "vm.agent_lost");
}

TEST_CASE("a VM that ends while it is being copied is told of when that is known") {
    Absent one(ten_minutes);
    const auto number = one.order(VmCommand::checkpoint);
    one.rig.pass(Milliseconds{1'000});
    FoundVm end;
    end.uuid = one.rig.uuid(one.vm);
    end.incarnation = one.rig.row(one.vm).incarnation;
    end.state = BackendState::crashed;
    end.sentence = "out of memory";
    one.rig.world.hear(end);
    one.rig.pass(Milliseconds{120'000});
    CHECK(one.rig.stage(one.vm) == "running");
    // It has come back all the same: whoever said so was wrong.
    one.look_each_minute(10);
    CHECK(one.answer(number) == "done");
    CHECK(one.rig.stage(one.vm) == "running");
}

TEST_CASE("a stop that comes while a VM is being copied ends it, and nothing is left") {
    Absent one(ten_minutes);
    (void)one.order(VmCommand::checkpoint);
    one.rig.pass(Milliseconds{1'000});
    one.rig.order_stop(one.vm);
    one.look_each_minute(12);
    CHECK(one.rig.stage(one.vm) == "stopped");
    CHECK(nothing_left(one.rig));
    CHECK_FALSE(one.rig.row(one.vm).blocked);
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a VM that does not come back from a checkpoint is suspended, and nothing is deleted") {
    Absent one(Milliseconds{90'000});
    one.rig.world.stays_away = true;
    const auto number = one.order(VmCommand::checkpoint);
    one.look_each_minute(3);
    CHECK(one.answer(number) == "backend.failed");
    REQUIRE(one.rig.stage(one.vm) == "suspended");
    CHECK(one.rig.row(one.vm).saved_path == "/saved/" + one.rig.uuid(one.vm));
    CHECK(one.rig.world.saved.size() == 1);
    CHECK_FALSE(one.rig.row(one.vm).blocked);
    one.rig.world.stays_away = false;
    (void)one.order(VmCommand::resume);
    REQUIRE(one.becomes("running"));
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a VM whose memory a look finds on disk is suspended, not given up") {
    for (const bool paused : {false, true}) {
        CAPTURE(paused);
        Absent one(Milliseconds{0});
        one.goes_to_disk(paused);
        one.rig.compare();
        REQUIRE(one.becomes("suspended"));
        CHECK(one.rig.world.saved.size() == 1);
        (void)one.order(VmCommand::resume);
        REQUIRE(one.becomes("running"));
    }
}

TEST_CASE("an hkd that dies while a VM is away on its way to disk loses nothing") {
    for (const VmCommand command : {VmCommand::suspend, VmCommand::checkpoint}) {
        CAPTURE(to_string(command));
        Absent one(ten_minutes);
        (void)one.order(command);
        one.rig.pass(Milliseconds{60'000});
        one.rig.crash();
        one.rig.pass(Milliseconds{60'000});
        one.rig.boot();
        REQUIRE(one.becomes("suspended"));
        CHECK(one.rig.world.saved.size() == 1);
        const auto resumed = one.order(VmCommand::resume);
        (void)one.rig.pass_until([&] { return one.answer(resumed) != "none"; });
        CHECK(one.answer(resumed) == "done");
        CHECK(one.rig.stage(one.vm) == "running");
        CHECK(one.rig.world.violations.empty());
    }
}

TEST_CASE("a new hkd gives no VM up before its hypervisor has said what is left of it") {
    for (const bool paused : {false, true}) {
        CAPTURE(paused);
        Absent one(Milliseconds{0});
        one.goes_to_disk(paused);
        one.rig.crash();
        one.rig.world.state_is_told = false;
        one.rig.boot();
        one.look_each_minute(3);
        CHECK(one.rig.stage(one.vm) == (paused ? "paused" : "running"));
        one.rig.world.state_is_told = true;
        one.look_each_minute(1);
        REQUIRE(one.rig.stage(one.vm) == "suspended");
        (void)one.order(VmCommand::resume);
        REQUIRE(one.becomes("running"));
        CHECK(one.rig.world.violations.empty());
    }
}

TEST_CASE("a VM that was being saved when a second hkd died, too, is suspended") {
    Absent one(Milliseconds{0});
    (void)one.order(VmCommand::pause);
    REQUIRE(one.becomes("paused"));
    one.rig.crash();
    one.rig.world.away.insert(one.rig.world.processes.extract(one.rig.uuid(one.vm)));
    one.rig.boot();
    REQUIRE(one.becomes("suspended"));
    CHECK(one.rig.world.saved.size() == 1);
}

namespace {

void fill_disk(Absent& one) {
    one.process().paused = true;
    one.process().why_paused = "its disk vdb is full";
    one.process().errno_of_pause = ENOSPC;
}

}  // namespace

TEST_CASE("a VM that its hypervisor lets stand still is paused, says why, and can be unpaused") {
    for (const bool told : {false, true}) {
        CAPTURE(told);
        Absent one(Milliseconds{0});
        fill_disk(one);
        FoundVm found;
        found.uuid = one.rig.uuid(one.vm);
        found.incarnation = one.process().incarnation;
        found.state = BackendState::paused;
        if (told)
            one.rig.world.hear(found);
        else
            one.rig.compare();
        one.rig.pass(Milliseconds{1'000});
        REQUIRE(one.rig.stage(one.vm) == "paused");
        CHECK(one.reason() == "vm.disk_full");
        CHECK(one.rig.row(one.vm).reason == "its disk vdb is full");
        one.look_each_minute(60);
        REQUIRE(one.rig.stage(one.vm) == "paused");
        const auto number = one.order(VmCommand::unpause);
        one.rig.pass(Milliseconds{1'000});
        CHECK(one.answer(number) == "done");
        one.look_each_minute(20);
        CHECK(one.rig.stage(one.vm) == "running");
        CHECK(one.reason().empty());
        CHECK_FALSE(one.rig.row(one.vm).blocked);
    }
}

TEST_CASE("a VM that was paused and unpaused past the node is what it is, at the next look") {
    Absent one(Milliseconds{0});
    one.process().paused = true;
    one.look_each_minute(1);
    CHECK(one.rig.stage(one.vm) == "paused");
    CHECK(one.reason() == "vm.paused_by_hypervisor");
    one.process().paused = false;
    one.look_each_minute(1);
    CHECK(one.rig.stage(one.vm) == "running");
    CHECK(one.reason().empty());
}

TEST_CASE("a disk that is full while no hkd lives is the VM's reason when one is there again") {
    Absent one(Milliseconds{0});
    one.rig.crash();
    fill_disk(one);
    one.rig.boot();
    REQUIRE(one.becomes("paused"));
    CHECK(one.reason() == "vm.disk_full");
}

TEST_CASE("what a look says of a VM while an order of it is under way is not believed") {
    Absent one(Milliseconds{0});
    one.rig.world.order_takes = Milliseconds{60'000};
    fill_disk(one);
    (void)one.order(VmCommand::reset);
    one.rig.pass(Milliseconds{1'000});
    one.rig.compare();
    one.rig.pass(Milliseconds{1'000});
    CHECK(one.rig.stage(one.vm) == "running");
    one.look_each_minute(2);
    CHECK(one.rig.stage(one.vm) == "paused");
}
