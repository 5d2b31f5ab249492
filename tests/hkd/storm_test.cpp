// Many starts at once, and what each costs.
#include "base/log.hpp"
#include "tests/hkd/running_vm.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;

namespace {

constexpr Milliseconds start_time{2'000};

bool all_run(Rig& rig) {
    const auto rows = rig.ask(rig.store().vms()).value();
    return std::ranges::all_of(
        rows, [](const auto& row) { return row.runtime.state == VmState::running; });
}

double own_cpu_seconds() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

// A node on which that many VMs, whose start takes two seconds, are ordered to start.
struct Storm {
    explicit Storm(int vms, int starting_max) : rig(vms, limits(starting_max)) {
        rig.world.temper.image = Milliseconds{0};
        rig.world.temper.launch = start_time;
        rig.world.temper.agent_after = Milliseconds{0};
        rig.boot();
    }
    static Limits limits(int starting_max) {
        Limits limits;
        limits.starting_max = starting_max;
        return limits;
    }
    Rig rig;
};

}  // namespace

TEST_CASE("200 starts finish within 1.2 times the best, and the maximum is honoured") {
    const log::Capture quiet;
    for (const int most : {6, 20}) {
        CAPTURE(most);
        Storm storm(200, most);
        const auto before = storm.rig.world.clock.now();
        for (const VmId vm : storm.rig.vms()) storm.rig.order_start(vm);
        REQUIRE(storm.rig.pass_until([&] { return all_run(storm.rig); }));
        const auto took = storm.rig.world.clock.now() - before;
        const auto best = start_time * ((200 + most - 1) / most);
        CHECK(took <= best * 12 / 10);
        CHECK(took >= best);
        CHECK(storm.rig.world.most_starting == most);
        CHECK(storm.rig.world.violations.empty());
    }
}

TEST_CASE("a start takes six round trips to the database at most, however long its guest boots") {
    const log::Capture quiet;
    for (const int boots : {0, 15'000}) {
        CAPTURE(boots);
        Storm storm(1, 6);
        storm.rig.world.temper.agent_after = Milliseconds{boots} + start_time;
        storm.rig.pass(Milliseconds{10'000});
        const VmId vm = storm.rig.vms().front();
        const int looks = storm.rig.store().looks();
        const int before = storm.rig.store().round_trips();
        storm.rig.order_start(vm);
        REQUIRE(storm.rig.pass_until([&] {
            const auto handler = storm.rig.here().find(vm);
            return handler && handler->stage() == vm_stage::running;
        }));
        storm.rig.pass(Milliseconds{1'000});
        const int all = storm.rig.store().round_trips() - before;
        // Without the order, which is not the node's, and its looks for orders, each second, but
        // one.
        const int own = all - 1 - (storm.rig.store().looks() - looks) + 1;
        CHECK(own <= 6);
        CHECK(own >= 4);
    }
}

TEST_CASE("a start costs hkd at most 20 ms of processor time") {
    const log::Capture quiet;
    Storm storm(200, 20);
    const double before = own_cpu_seconds();
    for (const VmId vm : storm.rig.vms()) storm.rig.order_start(vm);
    REQUIRE(storm.rig.pass_until([&] { return storm.rig.here().facts().size() == 200; }));
    storm.rig.pass(start_time * 12);
    const double used = own_cpu_seconds() - before;
    REQUIRE(all_run(storm.rig));
    MESSAGE("a start costs " << used / 200 * 1000 << " ms of processor time");
#ifndef QVD_SANITIZED
    CHECK(used / 200 <= 0.020);
#endif
}
