#include "broker/vms.hpp"

#include "broker/vm_watch.hpp"

namespace qvd::broker {

namespace {

Async<store::VmRecord> record_of(Context& context, VmId vm) {
    QVD_CO_TRY(auto record, co_await context.store.vm(vm));
    if (!record)
        co_return Error{ErrorKind::not_found, "vm.not_found",
                        "The requested virtual machine does not exist"};
    co_return *record;
}

Async<void> check_vm_node(Context& context, store::VmRecord record) {
    if (!record.runtime.node || record.node_name == context.node_name) co_return Result<void>{};
    QVD_CO_TRY(const auto node, co_await context.store.node(record.node_name));
    if (node && node->runtime.blocked)
        co_return Error{ErrorKind::unavailable, "node.blocked",
                        "The node of the requested virtual machine is blocked"};
    co_return Result<void>{};
}

bool is_down(const VmRuntime& runtime) {
    return (runtime.state == VmState::stopped || runtime.state == VmState::failed) &&
           !runtime.command;
}

}  // namespace

Async<store::VmRecord> find_vm(Context& context, VmId vm, std::shared_ptr<plugin::Login> login,
                               plugin::LoginRequest request) {
    QVD_CO_TRY(const auto record, co_await record_of(context, vm));
    if (record.runtime.blocked)
        co_return Error{ErrorKind::denied, "vm.blocked",
                        "The requested virtual machine is offline for maintenance"};
    auto chain = context.authenticators;
    QVD_CO_CHECK(co_await chain->allow_access(std::move(login), std::move(request), record));
    QVD_CO_CHECK(co_await check_vm_node(context, record));
    co_return record;
}

Async<store::VmRecord> await_running(Context& context, std::shared_ptr<Conversation> client,
                                     VmId vm, Deadline deadline) {
    const VmWatch::Interest interest(context.vms, vm, client);
    bool told = false;
    for (;;) {
        QVD_CO_TRY(const auto record, co_await record_of(context, vm));
        if (record.runtime.state == VmState::running || record.runtime.state == VmState::debug)
            co_return record;
        if (is_down(record.runtime)) {
            const std::string why =
                record.runtime.reason.empty() ? "it stopped again" : record.runtime.reason;
            co_return Error{
                ErrorKind::unavailable, "vm.start_failed",
                "The requested virtual machine is not available: " + why + ", retry later"};
        }
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "vm.start_timeout",
                            "The requested virtual machine did not start in time (state " +
                                to_string(record.runtime.state, record.runtime.phase) +
                                "), retry later"};
        if (!told) client->progress("Waiting for VM to reach state 'running'");
        told = true;
        QVD_CO_CHECK(co_await client->pause(deadline.remaining()));
    }
}

Async<void> await_stopped(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                          Deadline deadline) {
    const VmWatch::Interest interest(context.vms, vm, client);
    bool told = false;
    for (;;) {
        QVD_CO_TRY(const auto record, co_await record_of(context, vm));
        if (is_down(record.runtime)) co_return Result<void>{};
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "vm.stop_timeout",
                            "The requested virtual machine did not stop in time (state " +
                                to_string(record.runtime.state, record.runtime.phase) + ")"};
        if (!told) client->progress("Waiting for VM to reach state 'stopped'");
        told = true;
        QVD_CO_CHECK(co_await client->pause(deadline.remaining()));
    }
}

}  // namespace qvd::broker
