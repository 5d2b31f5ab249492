#include "commands.hpp"

#include <utility>

namespace qvd::qa {

namespace {

admin::Async<Output> add(Farm& farm, CommandLine line) {
    admin::Administration::NewVm vm;
    vm.name = parameter(line, "name");
    vm.user = parameter(line, "user");
    vm.user_id = parameter(line, "user_id");
    vm.osf = parameter(line, "osf");
    vm.osf_id = parameter(line, "osf_id");
    vm.ip = parameter(line, "ip");
    vm.di_tag = parameter(line, "di_tag", vm.di_tag);
    QVD_CO_TRY(const VmId id, co_await farm.administration().add_vm(std::move(vm)));
    co_return added(id.value());
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().delete_vms(line.filter));
    co_return counted(done, "VM", "deleted");
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().vms(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"Name", "name"},
                                       {"User", "user"},
                                       {"Ip", "ip"},
                                       {"OSF", "osf"},
                                       {"DI_Tag", "di_tag"},
                                       {"DI", "di"},
                                       {"Host", "host"},
                                       {"State", "state"},
                                       {"UserState", "user_state"},
                                       {"Blocked", "blocked"},
                                       {"CPU", "cpu_seconds"},
                                       {"Memory", "memory_used"},
                                       {"Reason", "reason"}});
}

admin::Async<Output> show(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().vms(line.filter));
    if (rows.empty())
        co_return Error{ErrorKind::not_found, "vm.not_found", "no VM fits the filter"};
    co_return listed(std::move(rows), {});
}

admin::Async<Output> edit(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const int count,
               co_await farm.administration().edit_vms(line.filter, line.parameters));
    co_return counted(count, "VM", "edited");
}

admin::Async<Output> start(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto balancer, co_await farm.balancer());
    QVD_CO_TRY(const auto done,
               co_await farm.administration().start_vms(line.filter, std::move(balancer)));
    co_return counted(done, "VM", "ordered to start");
}

admin::Async<Output> stop(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().stop_vms(line.filter));
    co_return counted(done, "VM", "ordered to stop");
}

template <bool blocked>
admin::Async<Output> set_blocked(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const int count, co_await farm.administration().block_vms(line.filter, blocked));
    co_return counted(count, "VM", blocked ? "blocked" : "unblocked");
}

admin::Async<Output> disconnect_user(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().disconnect_users(line.filter));
    co_return counted(done, "user", "disconnected");
}

// What a VM is.
std::vector<Command> of_rows() {
    return {
        {"vm",
         "add",
         "Makes a VM for a user.",
         {{"name", Need::required, "unique"},
          {"user", Need::either, "login of its owner"},
          {"user_id", Need::either, "id of its owner, in place of the login"},
          {"osf", Need::either, "name of its OSF"},
          {"osf_id", Need::either, "id of its OSF, in place of its name"},
          {"ip", Need::optional, "its address; default: a free one"},
          {"di_tag", Need::optional, "which image of the OSF; default: default"}},
         0,
         add},
        {"vm",
         "del",
         "Deletes VMs that are stopped; others are left alone.",
         {},
         filters | confirmation,
         del},
        {"vm", "list", "Lists VMs.", {}, filters, list},
        {"vm", "show", "Shows all that is known of VMs.", {}, filters, show},
        {"vm",
         "edit",
         "Changes VMs.",
         {{"name", Need::optional, "of one VM"},
          {"di_tag", Need::optional, "used at the next start"},
          {"ip", Need::optional, "of one VM; used at the next start"}},
         filters | confirmation,
         edit},
    };
}

// What it does.
std::vector<Command> of_lives() {
    return {
        {"vm",
         "start",
         "Orders VMs to start, each on the node that the balancer chooses.",
         {},
         filters | confirmation,
         start},
        {"vm", "stop", "Orders VMs to stop.", {}, filters | confirmation, stop},
        {"vm",
         "block",
         "Closes VMs to their users; they run on.",
         {},
         filters | confirmation,
         set_blocked<true>},
        {"vm", "unblock", "Opens VMs to their users again.", {}, filters, set_blocked<false>},
        {"vm",
         "disconnect_user",
         "Ends the sessions of VMs; the desktops are suspended.",
         {},
         filters | confirmation,
         disconnect_user},
    };
}

}  // namespace

std::vector<Command> vm_commands() {
    std::vector<Command> commands = of_rows();
    for (Command& command : of_lives()) commands.push_back(std::move(command));
    return commands;
}

}  // namespace qvd::qa
