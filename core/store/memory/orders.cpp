// The memory store: orders to start and stop, and what the node makes of them.
#include "store/checks.hpp"
#include "store/memory/tables.hpp"

#include <algorithm>

namespace qvd::store {

namespace {

using memory::NodeRow;
using memory::Tables;
using memory::VmRow;

bool rests(const VmRow& row) {
    return row.runtime.state == VmState::stopped || row.runtime.state == VmState::failed;
}

bool can_stop(VmState state) {
    return state == VmState::starting || state == VmState::running || state == VmState::debug ||
           state == VmState::paused || state == VmState::suspended;
}

Result<VmRow*> in_state(Tables& tables, const VmTransition& change) {
    QVD_TRY(VmRow* const row, tables.vm(change.vm, change.incarnation));
    if (std::ranges::count(change.from, row->runtime.state) == 0)
        return answers::conflict("vm.state", "vm " + change.vm.text() + " is " +
                                                 to_string(row->runtime.state, row->runtime.phase) +
                                                 " by now");
    return row;
}

// Of this incarnation, and there is something of it.
Result<VmRow*> alive(Tables& tables, VmId vm, std::int64_t incarnation) {
    QVD_TRY(VmRow* const row, tables.vm(vm, incarnation));
    if (rests(*row))
        return answers::conflict(
            "vm.state", "vm " + vm.text() + " is " + to_string(row->runtime.state, 0) + " by now");
    return row;
}

// Of a VM that was `before`.
void announce(Tables& tables, const VmRow& row, const VmRuntime& before) {
    const VmRuntime& now = row.runtime;
    const bool shown = now.state != before.state || now.blocked != before.blocked;
    if (shown || now.phase != before.phase) tables.announce_state(row);
    if (shown) tables.announce_vms();
}

void apply(Tables& tables, VmRow& row, const VmTransition& change) {
    VmRuntime& runtime = row.runtime;
    const VmRuntime before = runtime;
    const bool moved = runtime.state != change.to || runtime.phase != change.phase;
    const bool was_starting = runtime.state == VmState::starting;
    runtime.state = change.to;
    runtime.phase = change.phase;
    runtime.reason = change.reason;
    runtime.reason_code = change.code;
    if (moved) runtime.since = tables.now();
    if (change.block) runtime.blocked = true;
    if (change.failure) ++runtime.attempt;
    if (change.to == VmState::stopped && !change.failure) runtime.attempt = 0;
    if (change.to == VmState::running && was_starting) ++row.run_ok;
    if (change.to == VmState::running && moved) runtime.agent_seen = tables.now();
    runtime.saved_path = change.to == VmState::suspended ? change.saved_path : "";
    if (change.to == VmState::suspended) row.reservation.reset();
    announce(tables, row, before);
}

Result<void> admit(Tables& tables, VmRow& row, NodeId node) {
    QVD_TRY(const NodeRow* const host, tables.node(node));
    if (!rests(row) || row.runtime.command)
        return answers::conflict("vm.not_stopped", "vm " + row.vm.id.text() +
                                                       " is not stopped, or its start is ordered");
    const auto needed = static_cast<double>(tables.osfs.at(row.vm.osf).osf.memory_mib);
    row.reservation.reset();
    QVD_CHECK(tables.check_room(*host, needed));
    row.reservation = {node, needed, tables.now() + memory::reservation_time};
    row.runtime.node = node;
    row.runtime.command = VmCommand::start;
    row.runtime.retry_at.reset();
    row.runtime.from_checkpoint = false;
    tables.announce_command(row);
    tables.announce_vms();
    return {};
}

Error no_image(const VmRow& row) {
    return {ErrorKind::not_found, "di.not_tagged",
            "no image of its osf has the tag \"" + row.vm.di_tag + "\""};
}

// With the image and the token that the start is to have.
Result<StartOrder> start_order(Tables& tables, VmRow& row, NodeId node) {
    StartOrder order;
    if (row.runtime.from_checkpoint) {
        const bool there = row.checkpoint && row.checkpoint->di && row.checkpoint->node == node;
        if (!there)
            return Error{ErrorKind::not_found, "vm.no_checkpoint", "its checkpoint is gone"};
        order.di = *row.checkpoint->di;
        order.checkpoint = row.checkpoint->path;
        row.token = row.checkpoint_token;
    } else {
        const memory::DiRow* const di = tables.tagged(row.vm.osf, row.vm.di_tag);
        if (di == nullptr) return no_image(row);
        order.di = di->di;
        row.token = random_token(32);
    }
    order.di.tags.clear();
    order.agent_token = row.token;
    order.properties = tables.merged(row, tables.tagged(row.vm.osf, row.vm.di_tag));
    return order;
}

// Whether the node starts it again, as it was ordered to.
bool starts_again(const Tables& tables, const VmRow& row, VmState to) {
    if (!row.runtime.restarts || to != VmState::stopped || !row.runtime.node) return false;
    const NodeRuntime& node = tables.nodes.at(*row.runtime.node).runtime;
    return node.state != NodeState::stopping && !node.blocked;
}

}  // namespace

Async<void> MemoryStore::order_start(VmId vm, NodeId node) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    co_return admit(*tables_, *row, node);
}

Async<void> MemoryStore::order_restore(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (!row->checkpoint) co_return answers::no_checkpoint(vm);
    if (!row->checkpoint->di) co_return answers::no_checkpoint_image(vm);
    QVD_CO_CHECK(admit(*tables_, *row, row->checkpoint->node));
    row->runtime.from_checkpoint = true;
    co_return Result<void>{};
}

Async<void> MemoryStore::retry_start(VmId vm, NodeId node) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (!row->runtime.retry_at) co_return answers::no_retry(vm);
    co_return admit(*tables_, *row, node);
}

Async<std::vector<std::pair<VmId, std::chrono::milliseconds>>> MemoryStore::retries(NodeId node) {
    QVD_CO_CHECK(co_await ready());
    std::vector<std::pair<VmId, std::chrono::milliseconds>> all;
    for (const auto& [id, row] : tables_->vms)
        if (row.runtime.last_node == node && row.runtime.retry_at &&
            row.runtime.state == VmState::failed)
            all.emplace_back(id, std::chrono::duration_cast<std::chrono::milliseconds>(
                                     *row.runtime.retry_at - tables_->now()));
    co_return all;
}

Async<void> MemoryStore::order_stop(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    VmRuntime& runtime = row->runtime;
    if (rests(*row) && (runtime.command == VmCommand::start || runtime.retry_at)) {
        tables_->announce_state(*row);
        if (runtime.node) tables_->announce_vms();
        runtime.retry_at.reset();
        runtime.command.reset();
        runtime.node.reset();
        runtime.from_checkpoint = false;
        row->reservation.reset();
        co_return Result<void>{};
    }
    const bool was_to_restart = std::exchange(runtime.restarts, false);
    if (was_to_restart && !can_stop(runtime.state)) co_return Result<void>{};
    if (!can_stop(runtime.state))
        co_return answers::conflict(
            "vm.not_running", "vm " + vm.text() + " is " + to_string(runtime.state, runtime.phase));
    if (runtime.command != VmCommand::stop) {
        runtime.command = VmCommand::stop;
        tables_->announce_command(*row);
    }
    co_return Result<void>{};
}

Async<std::vector<std::pair<VmId, VmCommand>>> MemoryStore::pending_commands(NodeId node) {
    ++looks_;
    QVD_CO_CHECK(co_await ready());
    std::vector<std::pair<VmId, VmCommand>> pending;
    for (const auto& [id, row] : tables_->vms)
        if (row.runtime.node == node && row.runtime.command)
            pending.emplace_back(id, *row.runtime.command);
    co_return pending;
}

Async<StartOrder> MemoryStore::take_start(VmId vm, NodeId node) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    VmRuntime& runtime = row->runtime;
    if (runtime.command != VmCommand::start || runtime.node != node || !rests(*row))
        co_return answers::no_command(vm);
    runtime.command.reset();
    runtime.since = tables_->now();
    runtime.retry_at.reset();
    auto order = start_order(*tables_, *row, node);
    if (!order.ok()) {
        runtime.state = VmState::failed;
        runtime.from_checkpoint = false;
        runtime.reason = order.error().sentence();
        runtime.reason_code = order.error().code();
        tables_->announce_state(*row);
        tables_->announce_vms();
        runtime.node.reset();
        row->reservation.reset();
        co_return order.error().within("vm " + vm.text());
    }
    runtime.state = VmState::starting;
    runtime.phase = 1;
    runtime.reason.clear();
    runtime.reason_code.clear();
    ++runtime.incarnation;
    ++row->run_attempts;
    row->usage = {};
    const auto memory_mib = static_cast<double>(tables_->osfs.at(row->vm.osf).osf.memory_mib);
    row->reservation = {node, memory_mib, std::nullopt};
    tables_->announce_state(*row);
    tables_->announce_vms();
    if (loses_answers_) co_return answers::down("its answer was lost");
    order->record = tables_->record(*row);
    co_return order;
}

Async<StartOrder> MemoryStore::retake_start(VmId vm, NodeId node, std::int64_t incarnation) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm, incarnation));
    VmRuntime& runtime = row->runtime;
    if (runtime.state != VmState::starting || runtime.phase != 1 || runtime.node != node)
        co_return answers::conflict(
            "vm.state",
            "vm " + vm.text() + " is " + to_string(runtime.state, runtime.phase) + " by now");
    auto order = start_order(*tables_, *row, node);
    if (!order.ok()) co_return order.error().within("vm " + vm.text());
    ++runtime.incarnation;
    order->record = tables_->record(*row);
    co_return order;
}

Async<Timestamp> MemoryStore::now() {
    QVD_CO_CHECK(co_await ready());
    co_return tables_->now();
}

void MemoryStore::set_expiry(VmId vm, std::optional<Timestamp> soft,
                             std::optional<Timestamp> hard) {
    VmRuntime& runtime = tables_->vms.at(vm).runtime;
    runtime.expires_soft = soft;
    runtime.expires_hard = hard;
}

Async<void> MemoryStore::take_stop(VmId vm, NodeId node) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (row->runtime.command != VmCommand::stop || row->runtime.node != node)
        co_return answers::no_command(vm);
    row->runtime.command.reset();
    row->taken = VmCommand::stop;
    if (loses_answers_) co_return answers::down("its answer was lost");
    co_return Result<void>{};
}

Async<void> MemoryStore::transition(VmTransition change) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::transition(change, false));
    QVD_CO_TRY(VmRow* const row, in_state(*tables_, change));
    apply(*tables_, *row, change);
    co_return Result<void>{};
}

Async<void> MemoryStore::set_launch(VmId vm, std::int64_t incarnation, DiId di,
                                    std::string hypervisor) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, alive(*tables_, vm, incarnation));
    if (!tables_->dis.contains(di)) co_return answers::violated("vm_runtimes_di_fkey");
    row->runtime.current_di = di;
    row->runtime.hypervisor = std::move(hypervisor);
    co_return Result<void>{};
}

Async<void> MemoryStore::set_endpoints(VmId vm, std::int64_t incarnation, std::string address,
                                       std::vector<Endpoint> endpoints) {
    QVD_CO_CHECK(co_await ready());
    if (!address.empty()) QVD_CO_CHECK(checks::address(address));
    QVD_CO_CHECK(checks::endpoints(endpoints));
    QVD_CO_TRY(VmRow* const row, alive(*tables_, vm, incarnation));
    row->runtime.address = std::move(address);
    row->endpoints = std::move(endpoints);
    co_return Result<void>{};
}

Async<void> MemoryStore::clear_vm(VmTransition change) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::transition(change, true));
    QVD_CO_TRY(VmRow* const row, in_state(*tables_, change));
    const bool restarts = starts_again(*tables_, *row, change.to);
    apply(*tables_, *row, change);
    VmRuntime& runtime = row->runtime;
    runtime.last_node = runtime.node;
    runtime.restarts = runtime.from_checkpoint = false;
    row->taken.reset();
    if (restarts) {
        runtime.command = VmCommand::start;
        tables_->announce_command(*row);
    }
    if (runtime.command != VmCommand::start) {
        runtime.command.reset();
        runtime.node.reset();
        row->reservation.reset();
    }
    if (row->answered < row->ordered) row->answer = {"vm.ended", "it has ended"};
    row->answered = row->ordered;
    runtime.retry_at.reset();
    if (change.retry_in && runtime.command != VmCommand::start)
        runtime.retry_at = tables_->now() + *change.retry_in;
    runtime.address.clear();
    runtime.current_di.reset();
    runtime.hypervisor.clear();
    runtime.agent_seen.reset();
    runtime.expires_soft.reset();
    runtime.expires_hard.reset();
    row->endpoints.clear();
    row->token = Secret{};
    row->usage = {};
    row->cpu_cores = 0;
    co_return Result<void>{};
}

Async<void> MemoryStore::report_usage(NodeId node, std::vector<VmUsage> usage) {
    QVD_CO_CHECK(co_await ready());
    for (const VmUsage& one : usage) {
        const auto found = tables_->vms.find(one.vm);
        if (found == tables_->vms.end()) continue;
        VmRow& row = found->second;
        if (row.runtime.node != node || row.runtime.incarnation != one.incarnation) continue;
        const std::chrono::duration<double> time = tables_->now() - row.used_at;
        const bool goes_on = row.usage.incarnation == one.incarnation && time.count() > 0;
        const double used = std::max(0.0, one.cpu_seconds - row.usage.cpu_seconds);
        row.cpu_cores = goes_on ? used / time.count() : 0;
        row.usage = one;
        row.used_at = tables_->now();
    }
    co_return Result<void>{};
}

Async<void> MemoryStore::agent_seen(VmId vm, std::int64_t incarnation) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm, incarnation));
    row->runtime.agent_seen = tables_->now();
    co_return Result<void>{};
}

}  // namespace qvd::store
