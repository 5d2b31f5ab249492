#include "commands.hpp"

namespace qvd::qa {

namespace {

admin::Async<Output> add(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const NodeId id, co_await farm.administration().add_host(
                                    parameter(line, "name"), parameter(line, "address")));
    co_return added(id.value());
}

admin::Async<Output> del(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const auto done, co_await farm.administration().delete_hosts(line.filter));
    co_return counted(done, "host", "deleted");
}

admin::Async<Output> list(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().hosts(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"Name", "name"},
                                       {"Address", "address"},
                                       {"HKD", "hkd"},
                                       {"Usable RAM", "usable_ram"},
                                       {"Usable CPU", "usable_cpu"},
                                       {"VMs assigned", "vms"},
                                       {"Blocked", "blocked"},
                                       {"State", "state"},
                                       {"Reason", "reason"}});
}

admin::Async<Output> counters(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().hosts(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"Name", "name"},
                                       {"HTTP Requests", "http_requests"},
                                       {"Auth attempts", "auth_attempts"},
                                       {"Auth OK", "auth_ok"},
                                       {"NX attempts", "nx_attempts"},
                                       {"NX OK", "nx_ok"},
                                       {"Short sessions", "short_sessions"}});
}

admin::Async<Output> load(Farm& farm, CommandLine line) {
    QVD_CO_TRY(auto rows, co_await farm.administration().hosts(line.filter));
    co_return listed(std::move(rows), {{"Id", "id"},
                                       {"Name", "name"},
                                       {"HKD", "hkd"},
                                       {"CPUs", "cpus"},
                                       {"CPU %", "cpu"},
                                       {"RAM", "ram"},
                                       {"RAM used", "ram_used"},
                                       {"RAM promised", "ram_promised"},
                                       {"VMs", "vms"},
                                       {"State", "state"}});
}

template <bool blocked>
admin::Async<Output> set_blocked(Farm& farm, CommandLine line) {
    QVD_CO_TRY(const int count, co_await farm.administration().block_hosts(line.filter, blocked));
    co_return counted(count, "host", blocked ? "blocked" : "unblocked");
}

}  // namespace

std::vector<Command> host_commands() {
    return {
        {"host",
         "add",
         "Registers a node.",
         {{"name", Need::required, "as in the node's file (nodename)"},
          {"address", Need::required, "its IPv4 address in the VM network"}},
         0,
         add},
        {"host",
         "del",
         "Deletes nodes to which no VM is assigned.",
         {},
         filters | confirmation,
         del},
        {"host", "list", "Lists nodes.", {}, filters, list},
        {"host",
         "block",
         "Takes nodes out of service.",
         {},
         filters | confirmation,
         set_blocked<true>},
        {"host", "unblock", "Puts nodes back into service.", {}, filters, set_blocked<false>},
        {"host", "load", "Shows how busy the nodes are (RAM in MiB).", {}, filters, load},
        {"host", "counters", "Shows what the nodes have served.", {}, filters, counters},
    };
}

}  // namespace qvd::qa
