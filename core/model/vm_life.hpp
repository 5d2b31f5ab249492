// The life of a VM on its node, as one table (manual, figure 1.1): what is not listed cannot
// happen. No input, no output: hkd feeds it events and acts on the states.
#pragma once

#include "model/vm.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace qvd {

enum class VmEvent {
    start_ordered,       // a broker or an operator wants it to run
    slot_granted,        // the node has the resources to start one more
    launched,            // the hypervisor runs it; the guest boots
    launch_failed,       // the hypervisor could not, or did not say; parts of it may run
    agent_answers,       // the agent in the VM answered
    agent_lost,          // the agent has not answered for too long
    kept_for_debugging,  // instead of agent_lost or time_is_up, with internal.vm.debug.enable
    stop_ordered,        // a user or an operator wants it to end, or the node is evacuated
    poweroff_accepted,   // the agent, or failing that the hypervisor, shuts the guest down
    vanished,            // nothing of it is left on the node, as ordered or by its own power-off
    died,                // nothing of it is left on the node, and nobody wanted that
    remains,             // its process is gone, but something of it could not be cleaned up
    time_is_up,          // the state's time-out
    adopted,             // a new hkd found it alive
    was_paused,          // as ordered, or by its hypervisor: in memory, not scheduled
    was_unpaused,
    was_saved,  // as ordered: its memory is in a file and nothing of it runs
    was_restored,
};
std::string_view to_string(VmEvent event);

// A state as it is stored.
struct VmStage {
    VmState state = VmState::stopped;
    int phase = 0;

    constexpr bool operator==(const VmStage&) const = default;
};
std::string to_string(VmStage stage);

namespace vm_stage {
inline constexpr VmStage stopped{VmState::stopped, 0};
inline constexpr VmStage failed{VmState::failed, 0};
inline constexpr VmStage starting_1{VmState::starting, 1};  // waits for a slot; image; launch
inline constexpr VmStage starting_2{VmState::starting, 2};  // launched, boots
inline constexpr VmStage running{VmState::running, 0};
inline constexpr VmStage stopping_1{VmState::stopping, 1};  // asks it to shut down
inline constexpr VmStage stopping_2{VmState::stopping, 2};  // shuts down
inline constexpr VmStage zombie_1{VmState::zombie, 1};      // TERM: asked by the hypervisor
inline constexpr VmStage zombie_2{VmState::zombie, 2};      // KILL: destroyed, until it is gone
inline constexpr VmStage debug{VmState::debug, 0};          // failed, kept alive to look at
inline constexpr VmStage paused{VmState::paused, 0};        // stands still
inline constexpr VmStage suspended{VmState::suspended, 0};  // in a file
}  // namespace vm_stage

struct VmTransitionRule {
    VmStage from;
    VmEvent event{};
    VmStage to;
};

inline constexpr std::array vm_life = [] {
    using namespace vm_stage;
    using enum VmEvent;
    return std::array{
        VmTransitionRule{stopped, start_ordered, starting_1},
        VmTransitionRule{failed, start_ordered, starting_1},

        VmTransitionRule{starting_1, slot_granted, starting_1},
        VmTransitionRule{starting_1, launched, starting_2},
        VmTransitionRule{starting_1, launch_failed, zombie_2},
        VmTransitionRule{starting_1, died, failed},
        VmTransitionRule{starting_1, stop_ordered, stopping_2},
        VmTransitionRule{starting_1, remains, zombie_2},
        VmTransitionRule{starting_1, adopted, starting_2},

        VmTransitionRule{starting_2, agent_answers, running},
        VmTransitionRule{starting_2, stop_ordered, stopping_1},
        VmTransitionRule{starting_2, time_is_up, zombie_1},
        VmTransitionRule{starting_2, kept_for_debugging, debug},
        VmTransitionRule{starting_2, died, failed},
        VmTransitionRule{starting_2, remains, zombie_2},
        VmTransitionRule{starting_2, adopted, starting_2},

        VmTransitionRule{running, agent_lost, zombie_1},
        VmTransitionRule{running, kept_for_debugging, debug},
        VmTransitionRule{running, stop_ordered, stopping_1},
        VmTransitionRule{running, vanished, stopped},
        VmTransitionRule{running, died, failed},
        VmTransitionRule{running, remains, zombie_2},
        VmTransitionRule{running, adopted, running},

        VmTransitionRule{debug, agent_answers, running},
        VmTransitionRule{debug, stop_ordered, stopping_1},
        VmTransitionRule{debug, vanished, stopped},
        VmTransitionRule{debug, died, failed},
        VmTransitionRule{debug, remains, zombie_2},
        VmTransitionRule{debug, adopted, debug},

        VmTransitionRule{running, was_paused, paused},
        VmTransitionRule{paused, was_unpaused, running},
        VmTransitionRule{paused, stop_ordered, stopping_1},
        VmTransitionRule{paused, vanished, stopped},
        VmTransitionRule{paused, died, failed},
        VmTransitionRule{paused, remains, zombie_2},
        VmTransitionRule{paused, adopted, paused},

        VmTransitionRule{running, was_saved, suspended},
        VmTransitionRule{paused, was_saved, suspended},
        VmTransitionRule{suspended, was_restored, running},
        VmTransitionRule{suspended, stop_ordered, stopping_2},
        VmTransitionRule{suspended, remains, zombie_2},

        VmTransitionRule{stopping_1, poweroff_accepted, stopping_2},
        VmTransitionRule{stopping_1, time_is_up, zombie_1},
        VmTransitionRule{stopping_1, vanished, stopped},
        VmTransitionRule{stopping_1, remains, zombie_2},
        VmTransitionRule{stopping_1, adopted, stopping_1},

        VmTransitionRule{stopping_2, time_is_up, zombie_1},
        VmTransitionRule{stopping_2, vanished, stopped},
        VmTransitionRule{stopping_2, remains, zombie_2},
        VmTransitionRule{stopping_2, adopted, stopping_2},

        VmTransitionRule{zombie_1, stop_ordered, zombie_1},
        VmTransitionRule{zombie_1, time_is_up, zombie_2},
        VmTransitionRule{zombie_1, vanished, stopped},
        VmTransitionRule{zombie_1, died, failed},
        VmTransitionRule{zombie_1, remains, zombie_2},
        VmTransitionRule{zombie_1, adopted, zombie_1},

        VmTransitionRule{zombie_2, stop_ordered, zombie_2},
        VmTransitionRule{zombie_2, time_is_up, zombie_2},
        VmTransitionRule{zombie_2, vanished, stopped},
        VmTransitionRule{zombie_2, died, failed},
        VmTransitionRule{zombie_2, adopted, zombie_2},
    };
}();

// Where the event leads from here; nothing: it cannot happen here, and whoever has it logs that.
constexpr std::optional<VmStage> next_stage(VmStage from, VmEvent event) {
    for (const VmTransitionRule& rule : vm_life)
        if (rule.from == from && rule.event == event) return rule.to;
    return std::nullopt;
}

// Nothing of the VM is on any node.
constexpr bool is_over(VmStage stage) {
    return stage == vm_stage::stopped || stage == vm_stage::failed;
}

}  // namespace qvd
