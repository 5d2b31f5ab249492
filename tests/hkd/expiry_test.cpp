// The end of a VM's run because of its image (manual, chapter 14).
#include "tests/hkd/running_vm.hpp"

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;

TEST_CASE("an expiry has passed when the database's clock says so, not this machine's") {
    RunningVm one;
    const Timestamp now = one.rig.ask(one.rig.store().now()).value();
    one.rig.store().set_expiry(one.vm, std::nullopt, now + std::chrono::hours(1));
    one.rig.expire();
    one.rig.pass(Milliseconds{1'000});
    CHECK(one.rig.stage(one.vm) == "running");
    one.rig.pass(Milliseconds{3'600'000});
    one.rig.expire();
    // It is restarted (manual, chapter 14), and has no limit any more.
    REQUIRE(one.rig.pass_until([&] {
        return one.rig.stage(one.vm) == "running" && one.rig.row(one.vm).incarnation == 2;
    }));
    CHECK_FALSE(one.rig.row(one.vm).expires_hard);
}

TEST_CASE("a soft expiry is told the agent every hour, and at once when it is changed") {
    RunningVm one;
    const auto minute = Milliseconds{60'000};
    const auto minutes = [&](int count) {
        for (int i = 0; i < count; ++i) {
            one.rig.pass(minute);
            one.rig.expire();
        }
        one.rig.pass(minute);
    };
    const Timestamp now = one.rig.ask(one.rig.store().now()).value();
    one.rig.store().set_expiry(one.vm, now + std::chrono::minutes(10), std::nullopt);
    minutes(8);
    CHECK(one.rig.world.expiries_told == 0);
    minutes(30);
    CHECK(one.rig.world.expiries_told == 1);
    minutes(60);
    CHECK(one.rig.world.expiries_told == 2);
    one.rig.store().set_expiry(one.vm, now + std::chrono::minutes(11), std::nullopt);
    minutes(1);
    CHECK(one.rig.world.expiries_told == 3);
    CHECK(one.rig.stage(one.vm) == "running");
}

TEST_CASE("a restart for its image outlives an hkd that dies between the stop and the start") {
    for (const int moment : {0, 1, 100, 250, 5'000}) {
        CAPTURE(moment);
        RunningVm one;
        const Timestamp now = one.rig.ask(one.rig.store().now()).value();
        one.rig.store().set_expiry(one.vm, std::nullopt, now);
        one.rig.expire();
        one.rig.pass(Milliseconds{moment});
        one.rig.crash();
        one.rig.pass(Milliseconds{10'000});
        one.rig.boot();
        REQUIRE(one.rig.pass_until([&] {
            return one.rig.stage(one.vm) == "running" && one.rig.row(one.vm).incarnation == 2;
        }));
        one.rig.pass(Milliseconds{3'600'000});
        CHECK(one.rig.row(one.vm).incarnation == 2);
        CHECK(one.rig.world.violations.empty());
    }
}

TEST_CASE("a stop that comes while a VM is stopped for its image keeps it stopped") {
    RunningVm one;
    one.process().temper.to_shut_down = Milliseconds{60'000};
    const Timestamp now = one.rig.ask(one.rig.store().now()).value();
    one.rig.store().set_expiry(one.vm, std::nullopt, now);
    one.rig.expire();
    REQUIRE(one.becomes("stopping_2"));
    one.rig.order_stop(one.vm);
    REQUIRE(one.becomes("stopped"));
    one.rig.pass(Milliseconds{3'600'000});
    CHECK(one.rig.stage(one.vm) == "stopped");
    CHECK(one.rig.row(one.vm).incarnation == 1);
}
