#include "model/vm.hpp"

#include "base/text.hpp"

#include <array>
#include <utility>

namespace qvd {

namespace {

constexpr std::array<std::pair<VmState, std::string_view>, 9> state_names{{
    {VmState::stopped, "stopped"},
    {VmState::starting, "starting"},
    {VmState::running, "running"},
    {VmState::stopping, "stopping"},
    {VmState::zombie, "zombie"},
    {VmState::failed, "failed"},
    {VmState::debug, "debug"},
    {VmState::paused, "paused"},
    {VmState::suspended, "suspended"},
}};

constexpr std::array<std::pair<VmCommand, std::string_view>, 9> command_names{{
    {VmCommand::start, "start"},
    {VmCommand::stop, "stop"},
    {VmCommand::pause, "pause"},
    {VmCommand::unpause, "unpause"},
    {VmCommand::suspend, "suspend"},
    {VmCommand::resume, "resume"},
    {VmCommand::checkpoint, "checkpoint"},
    {VmCommand::snapshot, "snapshot"},
    {VmCommand::reset, "reset"},
}};

}  // namespace

std::string_view to_string(VmState state) {
    for (const auto& [known, name] : state_names)
        if (known == state) return name;
    return "stopped";
}

Result<VmState> parse_vm_state(std::string_view text) {
    for (const auto& [known, name] : state_names)
        if (name == text) return known;
    return Error{ErrorKind::invalid, "vm.state", "unknown VM state " + text::quoted(text)};
}

std::string to_string(VmState state, int phase) {
    std::string text(to_string(state));
    if (phase > 0) text += "_" + std::to_string(phase);
    return text;
}

std::string_view client_name(VmState state) {
    switch (state) {
        case VmState::debug:
            return "debugging";
        case VmState::failed:
        case VmState::paused:
        case VmState::suspended:
            return "stopped";
        default:
            return to_string(state);
    }
}

std::string_view to_string(VmCommand command) {
    for (const auto& [known, name] : command_names)
        if (known == command) return name;
    return "start";
}

Result<VmCommand> parse_vm_command(std::string_view text) {
    for (const auto& [known, name] : command_names)
        if (name == text) return known;
    return Error{ErrorKind::invalid, "vm.command", "unknown VM command " + text::quoted(text)};
}

bool may_be_ordered(VmCommand command, VmState state) {
    switch (command) {
        case VmCommand::pause:
        case VmCommand::suspend:
        case VmCommand::checkpoint:
            return state == VmState::running;
        case VmCommand::snapshot:
            return state == VmState::running || state == VmState::paused;
        case VmCommand::reset:
            return state == VmState::running || state == VmState::debug;
        case VmCommand::unpause:
            return state == VmState::paused;
        case VmCommand::resume:
            return state == VmState::suspended;
        default:
            return false;
    }
}

}  // namespace qvd
