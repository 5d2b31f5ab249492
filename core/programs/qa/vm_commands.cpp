#include "base/text.hpp"
#include "commands.hpp"

#include <chrono>
#include <iostream>
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

std::vector<Column> usage_columns() {
    return {{"Id", "id"},
            {"Name", "name"},
            {"Host", "host"},
            {"State", "state"},
            {"CPU %", "cpu"},
            {"CPU s", "cpu_seconds"},
            {"RAM used", "memory_used"},
            {"RAM", "memory"},
            {"Expire soft", "expire_soft"},
            {"Expire hard", "expire_hard"}};
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().vms(line.filter));
    if (line.usage) co_return listed(std::move(rows), usage_columns());
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
                                       {"Reason", "reason"}});
}

admin::Async<Output> show(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().vms(line.filter));
    if (rows.empty())
        co_return Error{ErrorKind::not_found, "vm.not_found", "no VM fits the filter"};
    co_return listed(std::move(rows), {});
}

admin::Async<Output> edit(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto edited,
               co_await farm.administration().edit_vms(line.filter, line.parameters));
    Output output = counted(edited.count, "VM", "edited");
    tell_expired(output, edited.expired);
    co_return output;
}

// Each step on a line of its own, for people.
admin::StepSeen step_lines(const CommandLine& line) {
    if (line.quiet || line.json) return {};
    return [](const std::string& vm, const std::string& state, const std::string& reason) {
        std::cerr << "vm " << vm << ": " << state << (reason.empty() ? "" : " (" + reason + ")")
                  << std::endl;
    };
}

// Asked before anything is ordered.
Result<std::chrono::seconds> patience_of(const CommandLine& line) {
    constexpr std::int64_t longest = 1'000'000;
    const auto seconds = text::to_integer(parameter(line, "timeout", "900"));
    if (!seconds || *seconds < 0 || *seconds > longest)
        return Error{ErrorKind::invalid, "usage", "timeout= is a number of seconds; 0: no end"};
    if (line.parameters.contains("timeout") && !line.wait)
        return Error{ErrorKind::invalid, "usage", "timeout= goes with --wait"};
    return std::chrono::seconds{*seconds};
}

// --wait: the answer is given when the VMs have arrived, or will not.
admin::Async<Output> waited(Farm& farm, CommandLine line, admin::Done done, VmState wanted,
                            std::chrono::seconds patience) {
    const bool starts = wanted == VmState::running;
    Output output = counted(done, "VM", starts ? "ordered to start" : "ordered to stop");
    if (!line.wait || done.vms.empty()) co_return output;
    QVD_CO_TRY(const auto failures, co_await farm.administration().await_vms(
                                        done.vms, wanted, patience, step_lines(line)));
    const int failed = static_cast<int>(failures.size());
    done.count -= failed;
    output = counted(done, "VM", starts ? "started" : "stopped");
    for (const std::string& one : failures) output.line += "\nfailed: " + one;
    output.facts.push_back({"failed", std::to_string(failed), admin::Cell::Kind::number, {}});
    const std::string why = text::join(failures, "; ");
    const auto kind = why.empty() ? admin::Cell::Kind::missing : admin::Cell::Kind::text;
    output.facts.push_back({"failures", why, kind, {}});
    output.failed = failed > 0;
    output.refused = output.refused && failed == 0;
    co_return output;
}

admin::Async<Output> start(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const std::chrono::seconds patience, patience_of(line));
    QVD_CO_TRY(auto balancer, co_await farm.balancer());
    QVD_CO_TRY(const auto done,
               co_await farm.administration().start_vms(line.filter, std::move(balancer)));
    co_return co_await waited(farm, line, done, VmState::running, patience);
}

admin::Async<Output> stop(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const std::chrono::seconds patience, patience_of(line));
    QVD_CO_TRY(const auto done, co_await farm.administration().stop_vms(line.filter));
    co_return co_await waited(farm, line, done, VmState::stopped, patience);
}

admin::Async<Output> restore(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const std::chrono::seconds patience, patience_of(line));
    QVD_CO_TRY(const auto done, co_await farm.administration().restore_vms(line.filter));
    co_return co_await waited(farm, line, done, VmState::running, patience);
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
        {"vm",
         "list",
         "Lists VMs (--usage: CPU, memory in MiB and expiry instead).",
         {},
         filters | usages,
         list},
        {"vm", "show", "Shows all that is known of VMs.", {}, filters, show},
        {"vm",
         "edit",
         "Changes VMs.",
         {{"name", Need::optional, "of one VM"},
          {"di_tag", Need::optional, "used at the next start"},
          {"ip", Need::optional, "of one VM; used at the next start"},
          {"user", Need::optional, "login of its new owner; it must be stopped"},
          {"osf", Need::optional, "name of its new OSF; it must be stopped"},
          {"expire-soft", Need::optional,
           "when it is asked to restart if its image is an older one: a time of at(1), or empty"},
          {"expire-hard", Need::optional, "when it is restarted then"}},
         filters | confirmation,
         edit},
    };
}

// What it does.
std::vector<Command> of_lives() {
    return {
        {"vm",
         "start",
         "Orders VMs to start, each on the node that the balancer chooses (--wait: until they "
         "run).",
         {{"timeout", Need::optional, "seconds to wait at most; default 900, 0: no end"}},
         filters | confirmation | waiting,
         start},
        {"vm",
         "stop",
         "Orders VMs to stop (--wait: until they have).",
         {{"timeout", Need::optional, "seconds to wait at most; default 900, 0: no end"}},
         filters | confirmation | waiting,
         stop},
        {"vm",
         "restore",
         "Brings stopped VMs back to their checkpoints (--wait: until they run).",
         {{"timeout", Need::optional, "seconds to wait at most; default 900, 0: no end"}},
         filters | confirmation | waiting,
         restore},
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
