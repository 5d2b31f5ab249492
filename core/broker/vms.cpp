#include "broker/vms.hpp"

#include "broker/stranded.hpp"
#include "broker/vm_watch.hpp"

#include <algorithm>

namespace qvd::broker {

namespace {

// How often a start that its node has not taken yet is looked at.
constexpr Milliseconds order_look{1000};

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

Error why_down(const VmRuntime& runtime) {
    const std::string why = runtime.reason.empty() ? "it stopped again" : runtime.reason;
    return {ErrorKind::unavailable, "vm.start_failed",
            "The requested virtual machine is not available: " + why + ", retry later"};
}

// A start that its node has not taken yet, and usually has long before it is late. What cannot be
// placed elsewhere waits on: whoever sees to all of these gives it up in the end.
Async<void> see_to_order(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                         Deadline deadline, bool late) {
    QVD_CO_CHECK(co_await client->pause(std::min(deadline.remaining(), order_look)));
    if (!late) co_return Result<void>{};
    const Result<void> placed = co_await order_elsewhere(context, vm);
    if (placed.ok()) client->progress("Its host died, assigning VM " + vm.text() + " to another");
    co_return Result<void>{};
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
    bool late = false;
    for (;;) {
        QVD_CO_TRY(const auto record, co_await record_of(context, vm));
        if (record.runtime.state == VmState::running || record.runtime.state == VmState::debug)
            co_return record;
        if (is_down(record.runtime)) co_return why_down(record.runtime);
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "vm.start_timeout",
                            "The requested virtual machine did not start in time (state " +
                                to_string(record.runtime.state, record.runtime.phase) +
                                "), retry later"};
        if (!told) client->progress("Waiting for VM to reach state 'running'");
        told = true;
        const bool pending = awaits_its_node(record.runtime);
        auto news = pending ? see_to_order(context, client, vm, deadline, late)
                            : client->pause(deadline.remaining());
        QVD_CO_CHECK(co_await std::move(news));
        late = pending;
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
