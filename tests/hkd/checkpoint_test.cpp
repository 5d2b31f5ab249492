// Checkpoints, and the way back to them; orders that outlive the hkd that took them.
#include "base/file.hpp"
#include "base/log.hpp"
#include "hkd/checkpoints.hpp"
#include "tests/hkd/running_vm.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

namespace {

struct Kept : RunningVm {
    Kept() : RunningVm(storing()) {}

    std::int64_t order(VmCommand command, const std::string& argument = "") {
        return rig.ask(rig.store().order(vm, command, argument)).value();
    }
    // The path it gave, or the code of what went wrong.
    std::string answer(std::int64_t number) {
        std::string said = "none";
        (void)rig.pass_until([&] {
            const auto answer = rig.ask(rig.store().order_answer(vm, number)).value();
            if (answer) said = answer->code.empty() ? answer->text : answer->code;
            return answer.has_value();
        });
        return said;
    }
    std::string checkpoint() { return answer(order(VmCommand::checkpoint)); }
    std::string known() {
        const auto record = rig.ask(rig.store().vm(vm)).value();
        return record->checkpoint ? record->checkpoint->path : "";
    }
    void stop() {
        rig.order_stop(vm);
        REQUIRE(becomes("stopped"));
    }
    std::string restore() {
        const auto ordered = rig.ask(rig.store().order_restore(vm));
        rig.settle();
        return ordered.ok() ? "" : ordered.error().code();
    }
};

}  // namespace

TEST_CASE("a VM goes back to its checkpoint, as often as it is wanted, and runs on from there") {
    Kept one;
    const std::string path = one.checkpoint();
    CHECK(one.rig.stage(one.vm) == "running");
    CHECK(one.known() == path);
    one.stop();
    CHECK(nothing_left(one.rig));
    for (const int incarnation : {2, 3}) {
        REQUIRE(one.restore().empty());
        REQUIRE(one.becomes("running"));
        CHECK(one.process().incarnation == incarnation);
        CHECK(one.rig.row(one.vm).incarnation == incarnation);
        one.stop();
    }
    // A start is a start.
    one.rig.order_start(one.vm);
    REQUIRE(one.becomes("running"));
    CHECK(one.process().token != one.rig.world.checkpoints.at(path).token);
    CHECK(one.rig.world.violations.empty());
}

TEST_CASE("a second checkpoint takes the place of the first, on disk too") {
    Kept one;
    const std::string first = one.checkpoint();
    REQUIRE(std::filesystem::exists(first));
    const std::string second = one.checkpoint();
    CHECK(second != first);
    CHECK_FALSE(std::filesystem::exists(first));
    CHECK(std::filesystem::exists(second));
    CHECK(one.known() == second);
}

TEST_CASE(
    "a checkpoint that is not there any more is named, and neither blocks nor is tried again") {
    Kept one;
    const std::string path = one.checkpoint();
    one.stop();
    std::filesystem::remove_all(path);
    REQUIRE(one.restore().empty());
    REQUIRE(one.becomes("failed"));
    const VmRuntime row = one.rig.row(one.vm);
    CHECK(row.reason_code == "vm.checkpoint_missing");
    CHECK(row.reason.find(path) != std::string::npos);
    CHECK_FALSE(row.blocked);
    CHECK_FALSE(row.retry_at.has_value());
    CHECK(row.attempt == 0);
    CHECK(nothing_left(one.rig));
    one.rig.order_start(one.vm);
    REQUIRE(one.becomes("running"));
}

TEST_CASE("what the hypervisor says against the way back is the VM's reason") {
    Kept one;
    (void)one.checkpoint();
    one.stop();
    one.rig.world.refuses = Error(ErrorKind::unavailable, "backend.failed", "the disk is full");
    REQUIRE(one.restore().empty());
    REQUIRE(one.becomes("failed"));
    CHECK(one.rig.row(one.vm).reason_code == "vm.restore_failed");
    CHECK(one.rig.row(one.vm).reason == "the disk is full");
    CHECK_FALSE(one.rig.row(one.vm).blocked);
    one.rig.world.refuses.reset();
    REQUIRE(one.restore().empty());
    REQUIRE(one.becomes("running"));
}

TEST_CASE("an hkd that dies on the way back leaves one VM, which runs, and nothing else") {
    for (const int moment : {0, 1, 3, 6, 9, 12, 20}) {
        CAPTURE(moment);
        Kept one;
        const std::string path = one.checkpoint();
        const std::string token = one.process().token;
        one.stop();
        REQUIRE(one.restore().empty());
        one.rig.pass(Milliseconds{moment});
        one.rig.crash();
        one.rig.boot();
        REQUIRE(one.becomes("running"));
        CHECK(one.process().token == token);
        CHECK(one.rig.world.violations.empty());
        CHECK(std::filesystem::exists(path));
    }
}

TEST_CASE("a checkpoint that cannot be remembered is no checkpoint, and leaves nothing") {
    Kept one;
    one.rig.world.order_takes = Milliseconds{1'000};
    one.process().mute = true;
    const auto number = one.order(VmCommand::checkpoint);
    one.rig.pass(Milliseconds{500});
    one.rig.world.at(one.rig.world.clock.now() + Milliseconds{400}, [&] {
        one.rig.world.end(one.rig.uuid(one.vm), BackendState::crashed, "out of memory");
    });
    CHECK(one.answer(number) != "none");
    REQUIRE(one.becomes("failed"));
    CHECK(one.known().empty());
    for (const auto& [path, process] : one.rig.world.checkpoints)
        CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("nothing outside the node's storage is removed, whatever the database says") {
    const log::Capture quiet;
    const std::string storage = run_folder() + "/store";
    const std::string outside = run_folder() + "/precious";
    for (const std::string& folder : {storage + "/suspended/1-checkpoint-7", outside})
        REQUIRE(file::make_folders(folder).ok());
    const VmId vm{1};
    remove_checkpoint(vm, outside, storage);
    remove_checkpoint(vm, storage + "/../precious", storage);
    remove_checkpoint(vm, storage, storage);
    remove_checkpoint(vm, "suspended", storage);
    remove_checkpoint(vm, outside, "");
    remove_checkpoint(vm, "", storage);
    CHECK(std::filesystem::exists(outside));
    CHECK(std::filesystem::exists(storage));
    std::filesystem::create_directory_symlink(outside, storage + "/suspended/link");
    remove_checkpoint(vm, storage + "/suspended/link", storage);
    CHECK(std::filesystem::exists(outside));
    CHECK_FALSE(std::filesystem::exists(storage + "/suspended/link"));
    remove_checkpoint(vm, storage + "/suspended/1-checkpoint-7", storage);
    CHECK_FALSE(std::filesystem::exists(storage + "/suspended/1-checkpoint-7"));
}

TEST_CASE("an order that hkd had taken when it died is obeyed by the next one and answered") {
    for (const VmCommand command :
         {VmCommand::pause, VmCommand::suspend, VmCommand::checkpoint, VmCommand::reset}) {
        for (const int moment : {0, 1, 4, 6, 8}) {
            CAPTURE(to_string(command));
            CAPTURE(moment);
            Kept one;
            const auto number = one.order(command);
            one.rig.pass(Milliseconds{moment});
            one.rig.crash();
            one.rig.pass(Milliseconds{360'000});
            one.rig.boot();
            const std::string said = one.answer(number);
            CHECK(
                (said.empty() || said.starts_with(command == VmCommand::suspend ? "/saved" : "/")));
            if (command == VmCommand::pause) CHECK(one.rig.stage(one.vm) == "paused");
            if (command == VmCommand::suspend) CHECK(one.becomes("suspended"));
            one.rig.pass(Milliseconds{10'000});
            CHECK(one.rig.world.violations.empty());
        }
    }
}

TEST_CASE("starts and stops that were ordered while hkd was away for long are not lost") {
    Kept one;
    one.rig.crash();
    one.rig.order_stop(one.vm);
    one.rig.pass(Milliseconds{360'000});
    one.rig.boot();
    REQUIRE(one.becomes("stopped"));
    one.rig.crash();
    one.rig.order_start(one.vm);
    // Longer than its memory was promised for.
    one.rig.pass(Milliseconds{1'200'000});
    one.rig.boot();
    REQUIRE(one.becomes("running"));
}

TEST_CASE("a stop that hkd had taken when it died is carried out by the next one") {
    for (const int moment : {0, 1, 2, 3}) {
        CAPTURE(moment);
        Kept one;
        REQUIRE(one.rig.ask(one.rig.store().order_stop(one.vm)).ok());
        one.rig.pass(Milliseconds{moment});
        one.rig.crash();
        one.rig.boot();
        REQUIRE(one.becomes("stopped"));
        CHECK(nothing_left(one.rig));
    }
}

TEST_CASE("an order of which the database's answer was lost is not lost with it") {
    Kept one;
    // Taken by somebody whose answer never arrived: the row says so, and nobody here knows.
    one.stop();
    one.rig.announcements_arrive = false;
    one.rig.store().fail_after_taking(true);
    one.rig.order_start(one.vm);
    REQUIRE(one.becomes("running"));
    CHECK(one.rig.world.processes.size() == 1);
    one.rig.store().fail_after_taking(false);

    one.rig.store().fail_after_taking(true);
    one.rig.order_stop(one.vm);
    one.rig.pass(Milliseconds{2'000});
    CHECK(one.rig.stage(one.vm) == "running");
    one.rig.store().fail_after_taking(false);
    REQUIRE(one.becomes("stopped"));

    one.rig.order_start(one.vm);
    REQUIRE(one.becomes("running"));
    one.rig.store().fail_after_taking(true);
    const auto number = one.order(VmCommand::pause);
    one.rig.pass(Milliseconds{2'000});
    CHECK(one.rig.stage(one.vm) == "running");
    one.rig.store().fail_after_taking(false);
    CHECK(one.answer(number).empty());
    CHECK(one.rig.stage(one.vm) == "paused");
    CHECK(one.rig.world.violations.empty());
}
