// qa vm pause, unpause, suspend, resume, checkpoint, snapshot, reset.
#include "commands.hpp"

#include <string_view>

namespace qvd::qa {

namespace {

std::string_view done_of(VmCommand command) {
    switch (command) {
        case VmCommand::pause:
            return "paused";
        case VmCommand::unpause:
            return "unpaused";
        case VmCommand::suspend:
            return "suspended";
        case VmCommand::resume:
            return "resumed";
        case VmCommand::checkpoint:
            return "checkpointed";
        case VmCommand::snapshot:
            return "copied";
        default:
            return "reset";
    }
}

template <VmCommand command>
admin::Async<Output> order(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto ordered, co_await farm.administration().order_vms(
                                       line.filter, command, parameter(line, "name")));
    Output output = counted(ordered.done, "VM", done_of(command));
    for (const std::string& one : ordered.made) output.line += "\n" + one;
    co_return output;
}

template <VmCommand command>
Command command_of(std::string_view purpose, std::vector<Parameter> parameters = {}) {
    return {
        "vm",          to_string(command), purpose, std::move(parameters), filters | confirmation,
        order<command>};
}

}  // namespace

std::vector<Command> vm_order_commands() {
    return {
        command_of<VmCommand::pause>("Lets VMs stand still, in memory."),
        command_of<VmCommand::unpause>("Lets VMs that stand still go on."),
        command_of<VmCommand::suspend>("Writes VMs to disk and takes them out of memory."),
        command_of<VmCommand::resume>("Brings suspended VMs back, on the node that has them."),
        command_of<VmCommand::checkpoint>(
            "Writes memory and disks of VMs to a folder; they run on."),
        command_of<VmCommand::snapshot>("Copies the disks of VMs.",
                                        {{"name", Need::required, "of the copy, new for each VM"}}),
        command_of<VmCommand::reset>("Presses the reset button of VMs."),
    };
}

}  // namespace qvd::qa
