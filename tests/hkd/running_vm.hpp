// What the tests of VMs' lives begin with.
#pragma once

#include "tests/hkd/world.hpp"

#include <doctest/doctest.h>

#include <utility>

namespace qvd::hkd::test {

// With a folder for what VMs leave on disk.
inline Limits storing() {
    Limits limits;
    limits.storage = run_folder() + "/storage";
    return limits;
}

// A node whose first VM runs.
struct RunningVm {
    explicit RunningVm(Limits limits = {}) : rig(1, std::move(limits)), vm(rig.vms().front()) {
        rig.boot();
        rig.order_start(vm);
        REQUIRE(rig.pass_until([this] { return rig.stage(vm) == "running"; }));
    }
    Process& process() { return rig.world.processes.at(rig.uuid(vm)); }
    bool becomes(const std::string& stage) {
        return rig.pass_until([this, &stage] { return rig.stage(vm) == stage; });
    }
    Milliseconds since(Clock::time_point then) {
        return std::chrono::duration_cast<Milliseconds>(rig.world.clock.now() - then);
    }

    Rig rig;
    VmId vm;
};

inline bool nothing_left(const Rig& rig) {
    return rig.world.processes.empty() && rig.world.left_overs.empty();
}

}  // namespace qvd::hkd::test
