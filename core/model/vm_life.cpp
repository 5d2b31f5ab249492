#include "model/vm_life.hpp"

namespace qvd {

std::string_view to_string(VmEvent event) {
    switch (event) {
        case VmEvent::start_ordered:
            return "start_ordered";
        case VmEvent::slot_granted:
            return "slot_granted";
        case VmEvent::launched:
            return "launched";
        case VmEvent::launch_failed:
            return "launch_failed";
        case VmEvent::agent_answers:
            return "agent_answers";
        case VmEvent::agent_lost:
            return "agent_lost";
        case VmEvent::kept_for_debugging:
            return "kept_for_debugging";
        case VmEvent::stop_ordered:
            return "stop_ordered";
        case VmEvent::poweroff_accepted:
            return "poweroff_accepted";
        case VmEvent::vanished:
            return "vanished";
        case VmEvent::died:
            return "died";
        case VmEvent::remains:
            return "remains";
        case VmEvent::time_is_up:
            return "time_is_up";
        case VmEvent::adopted:
            return "adopted";
        case VmEvent::was_paused:
            return "was_paused";
        case VmEvent::was_unpaused:
            return "was_unpaused";
        case VmEvent::was_saved:
            return "was_saved";
        case VmEvent::was_restored:
            return "was_restored";
    }
    return "unknown";
}

std::string to_string(VmStage stage) {
    return to_string(stage.state, stage.phase);
}

}  // namespace qvd
