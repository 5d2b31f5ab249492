// Whatever happens, and whenever hkd dies: stopped means that nothing is left, running means one
// process, no home is mounted twice, and everything comes to rest.
#include "base/log.hpp"
#include "tests/hkd/world.hpp"

#include <doctest/doctest.h>

#include <array>
#include <random>

using namespace qvd;
using namespace qvd::hkd;
using namespace qvd::hkd::test;
using plugin::BackendState;

namespace {

class Chaos {
public:
    explicit Chaos(std::uint32_t seed) : random_(seed), rig_(4, limits(seed)) { rig_.boot(); }

    void run(int events) {
        for (int count = 0; count < events; ++count) {
            something();
            if (rig_.world.processes.size() > rig_.vms().size()) FAIL("more processes than VMs");
            for (const std::string& violation : rig_.world.violations) FAIL(violation);
            for (const auto& [uuid, process] : rig_.world.saved)
                if (rig_.world.processes.contains(uuid)) FAIL("a suspended VM that runs");
            rig_.pass(Milliseconds{pick({0, 1, 3, 8, 20, 200, 1'000, 20'000, 200'000})});
        }
    }

    // Everything behaves from now on; given time, everything has come to rest.
    void calm_down() {
        rig_.world.temper = {};
        rig_.world.away_for = {};
        rig_.world.stays_away = false;
        rig_.world.broker_down = false;
        rig_.announcements_arrive = true;
        rig_.store().fail_with_unavailable(false);
        rig_.store().fail_after_taking(false);
        for (auto& [uuid, process] : rig_.world.processes) {
            process.mute = false;
            process.temper = {};
        }
        if (!rig_.lives()) rig_.boot();
        for (int hour = 0; hour < 4; ++hour) {
            rig_.compare();
            rig_.pass(Milliseconds{3'600'000});
        }
        // Only these two may stay as they are.
        for (const VmId vm : rig_.vms()) {
            if (rig_.stage(vm) == "paused") order(vm, VmCommand::unpause);
            if (rig_.stage(vm) == "suspended") order(vm, VmCommand::resume);
        }
        rig_.pass(Milliseconds{600'000});
    }

    void check() {
        for (const VmId vm : rig_.vms()) {
            const VmRuntime row = rig_.row(vm);
            const std::string& uuid = rig_.uuid(vm);
            CAPTURE(to_string(row.state, row.phase));
            CAPTURE(row.reason);
            if (row.state == VmState::running) {
                REQUIRE(rig_.world.processes.contains(uuid));
                CHECK(rig_.world.processes.at(uuid).incarnation == row.incarnation);
                CHECK(rig_.row(vm).node == rig_.node());
                CHECK(homes_of(uuid) == 1);
            } else {
                CHECK((row.state == VmState::stopped || row.state == VmState::failed));
                CHECK_FALSE(rig_.world.processes.contains(uuid));
                CHECK_FALSE(rig_.world.left_overs.contains(uuid));
                CHECK_FALSE(rig_.world.saved.contains(uuid));
                CHECK_FALSE(row.current_di.has_value());
                CHECK(homes_of(uuid) == 0);
            }
            CHECK_FALSE(row.command.has_value());
            CHECK_FALSE(row.restarts);
            CHECK_FALSE(row.retry_at.has_value());
        }
        for (const std::string& violation : rig_.world.violations) FAIL_CHECK(violation);
    }

    // Everything can still be started and stopped.
    void check_usable() {
        for (const VmId vm : rig_.vms()) rig_.order_start(vm);
        rig_.pass(Milliseconds{900'000});
        for (const VmId vm : rig_.vms()) CHECK(rig_.stage(vm) == "running");
        for (const VmId vm : rig_.vms()) rig_.order_stop(vm);
        rig_.pass(Milliseconds{600'000});
        for (const VmId vm : rig_.vms()) CHECK(rig_.stage(vm) == "stopped");
        CHECK(rig_.world.processes.empty());
        CHECK(rig_.world.left_overs.empty());
        CHECK(rig_.world.homes.empty());
        for (const std::string& violation : rig_.world.violations) FAIL_CHECK(violation);
    }

private:
    static Limits limits(std::uint32_t seed) {
        Limits limits;
        limits.starting_max = 2;
        limits.failure = seed % 3 == 0 ? FailurePolicy::retry : FailurePolicy::ignore;
        limits.storage = run_folder() + "/storage";
        return limits;
    }
    int homes_of(const std::string& uuid) {
        int count = 0;
        for (const auto& [path, owner] : rig_.world.homes) count += owner == uuid ? 1 : 0;
        return count;
    }

    int pick(std::vector<int> choices) {
        return choices[std::uniform_int_distribution<std::size_t>(0, choices.size() - 1)(random_)];
    }
    bool chance(int percent) { return pick_below(100) < percent; }
    int pick_below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }
    // It may not fit the VM's state: then it is refused.
    void order(VmId vm, VmCommand command) { (void)rig_.ask(rig_.store().order(vm, command, "")); }
    VmCommand any_command() {
        constexpr std::array commands{VmCommand::pause,  VmCommand::unpause, VmCommand::suspend,
                                      VmCommand::resume, VmCommand::reset,   VmCommand::checkpoint};
        return commands.at(static_cast<std::size_t>(pick_below(static_cast<int>(commands.size()))));
    }
    VmId any_vm() { return rig_.vms()[static_cast<std::size_t>(pick_below(4))]; }

    Temper any_temper() {
        Temper temper;
        temper.image = Milliseconds{pick({0, 5, 5'000})};
        temper.launch = Milliseconds{pick({2, 20, 3'000, 90'000})};
        temper.launches = !chance(15);
        if (chance(15)) temper.agent_after.reset();
        if (chance(15)) temper.dies_after = Milliseconds{pick({1, 100, 10'000})};
        temper.accepts_poweroff = !chance(20);
        temper.heeds_stop = !chance(20);
        temper.to_shut_down = Milliseconds{pick({1, 500, 400'000})};
        temper.destroys_that_fail = pick({0, 0, 0, 1, 3});
        return temper;
    }

    void something() {
        rig_.world.temper = any_temper();
        rig_.world.order_takes = Milliseconds{pick({1, 50, 40'000})};
        rig_.world.away_for = Milliseconds{pick({0, 100, 400'000})};
        rig_.world.stays_away = chance(10);
        if (rig_.lives() && chance(30)) rig_.compare();
        switch (pick_below(18)) {
            case 0:
            case 1:
            case 2:
                return rig_.order_start(any_vm());
            case 3:
            case 4:
                return rig_.order_stop(any_vm());
            case 5:
                return rig_.world.end(rig_.uuid(any_vm()),
                                      chance(50) ? BackendState::stopped : BackendState::crashed,
                                      "by chance");
            case 6:
                return crash_or_boot();
            case 7:
                rig_.store().fail_with_unavailable(chance(30));
                return;
            case 8:
                for (auto& [uuid, process] : rig_.world.processes) process.mute = chance(20);
                return;
            case 9:
            case 10:
            case 11:
            case 12:
                return order(any_vm(), any_command());
            case 13:
                (void)rig_.ask(rig_.store().order_restore(any_vm()));
                return;
            case 14:
                return expire(any_vm());
            case 15:
                return rig_.store().fail_after_taking(chance(30));
            default:
                rig_.world.broker_down = chance(20);
                rig_.announcements_arrive = !chance(30);
        }
    }
    // It is restarted for its image, at once.
    void expire(VmId vm) {
        const auto now = rig_.ask(rig_.store().now());
        if (!now.ok() || !rig_.lives()) return;
        if (rig_.row(vm).current_di) rig_.store().set_expiry(vm, std::nullopt, *now);
        rig_.expire();
    }
    void crash_or_boot() {
        if (rig_.lives()) rig_.crash();
        if (chance(80)) rig_.boot();
    }

    std::mt19937 random_;
    Rig rig_;
};

#ifdef QVD_SANITIZED
constexpr std::uint32_t seeds = 10;  // each takes ten times as long
#else
constexpr std::uint32_t seeds = 60;
#endif

}  // namespace

TEST_CASE("whatever happens, stopped means nothing left and running means exactly one process") {
    const log::Capture quiet;
    for (std::uint32_t seed = 1; seed <= seeds; ++seed) {
        CAPTURE(seed);
        Chaos chaos(seed);
        chaos.run(40);
        chaos.calm_down();
        chaos.check();
        chaos.check_usable();
    }
}
