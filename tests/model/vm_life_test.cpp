#include "model/vm_life.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

using namespace qvd;

namespace {

constexpr std::array all_stages{vm_stage::stopped,    vm_stage::starting_1, vm_stage::starting_2,
                                vm_stage::running,    vm_stage::paused,     vm_stage::suspended,
                                vm_stage::stopping_1, vm_stage::stopping_2, vm_stage::zombie_1,
                                vm_stage::zombie_2,   vm_stage::debug,      vm_stage::failed};

// Figure 1.1 of the manual as text: the states in its order, each with its ways out.
std::string figure() {
    std::string drawing;
    for (const VmStage from : all_stages) {
        drawing += to_string(from) + "\n";
        for (const VmTransitionRule& rule : vm_life)
            if (rule.from == from && rule.event != VmEvent::adopted)
                drawing += "    " + std::string(to_string(rule.event)) + " -> " +
                           to_string(rule.to) + "\n";
    }
    return drawing;
}

std::set<std::string> reachable_from(VmStage start) {
    std::vector<VmStage> open{start};
    std::set<std::string> seen{to_string(start)};
    while (!open.empty()) {
        const VmStage from = open.back();
        open.pop_back();
        for (const VmTransitionRule& rule : vm_life)
            if (rule.from == from && seen.insert(to_string(rule.to)).second)
                open.push_back(rule.to);
    }
    return seen;
}

}  // namespace

TEST_CASE("the table of a VM's life is the manual's figure 1.1") {
    CHECK(figure() == R"(stopped
    start_ordered -> starting_1
starting_1
    slot_granted -> starting_1
    launched -> starting_2
    launch_failed -> zombie_2
    died -> failed
    stop_ordered -> stopping_2
    remains -> zombie_2
starting_2
    agent_answers -> running
    stop_ordered -> stopping_1
    time_is_up -> zombie_1
    kept_for_debugging -> debug
    died -> failed
    remains -> zombie_2
running
    agent_lost -> zombie_1
    kept_for_debugging -> debug
    stop_ordered -> stopping_1
    vanished -> stopped
    died -> failed
    remains -> zombie_2
    was_paused -> paused
    was_saved -> suspended
paused
    was_unpaused -> running
    stop_ordered -> stopping_1
    vanished -> stopped
    died -> failed
    remains -> zombie_2
    was_saved -> suspended
suspended
    was_restored -> running
    stop_ordered -> stopping_2
    remains -> zombie_2
stopping_1
    poweroff_accepted -> stopping_2
    time_is_up -> zombie_1
    vanished -> stopped
    remains -> zombie_2
stopping_2
    time_is_up -> zombie_1
    vanished -> stopped
    remains -> zombie_2
zombie_1
    stop_ordered -> zombie_1
    time_is_up -> zombie_2
    vanished -> stopped
    died -> failed
    remains -> zombie_2
zombie_2
    stop_ordered -> zombie_2
    time_is_up -> zombie_2
    vanished -> stopped
    died -> failed
debug
    agent_answers -> running
    stop_ordered -> stopping_1
    vanished -> stopped
    died -> failed
    remains -> zombie_2
failed
    start_ordered -> starting_1
)");
}

TEST_CASE("no state and event are listed twice") {
    for (const VmTransitionRule& rule : vm_life)
        CHECK(std::count_if(vm_life.begin(), vm_life.end(), [&rule](const VmTransitionRule& other) {
                  return other.from == rule.from && other.event == rule.event;
              }) == 1);
}

TEST_CASE("every state is reached from stopped, and stopped from every state") {
    const auto from_stopped = reachable_from(vm_stage::stopped);
    for (const VmStage stage : all_stages) {
        CAPTURE(to_string(stage));
        CHECK(from_stopped.contains(to_string(stage)));
        CHECK(reachable_from(stage).contains("stopped"));
    }
}

TEST_CASE("a new hkd may find a VM alive in every state but stopped, suspended and failed") {
    for (const VmStage stage : all_stages) {
        CAPTURE(to_string(stage));
        CHECK(next_stage(stage, VmEvent::adopted).has_value() ==
              (!is_over(stage) && stage != vm_stage::suspended));
    }
}

TEST_CASE("a VM on its way down never runs again") {
    for (const VmStage stage :
         {vm_stage::stopping_1, vm_stage::stopping_2, vm_stage::zombie_1, vm_stage::zombie_2}) {
        CHECK_FALSE(next_stage(stage, VmEvent::agent_answers).has_value());
        CHECK_FALSE(next_stage(stage, VmEvent::start_ordered).has_value());
    }
}

TEST_CASE("what is not listed cannot happen") {
    CHECK_FALSE(next_stage(vm_stage::stopped, VmEvent::agent_answers).has_value());
    CHECK_FALSE(next_stage(vm_stage::running, VmEvent::launched).has_value());
    CHECK_FALSE(next_stage(vm_stage::starting_2, VmEvent::was_saved).has_value());
    CHECK(next_stage(vm_stage::running, VmEvent::stop_ordered) == vm_stage::stopping_1);
}

TEST_CASE("a stage is written as operators see it") {
    CHECK(to_string(vm_stage::starting_1) == "starting_1");
    CHECK(to_string(vm_stage::running) == "running");
}
