// The memory store: what was ordered to a node which died before it did it.
#include "store/memory/tables.hpp"

namespace qvd::store {

using memory::NodeRow;
using memory::Tables;
using memory::VmRow;

namespace {

bool has_dead_node(const Tables& tables, const VmRow& row) {
    if (!row.runtime.node) return false;
    const std::optional<Timestamp>& seen = tables.nodes.at(*row.runtime.node).runtime.seen;
    return seen && tables.now() - *seen > node_silence;
}

bool is_stranded(const Tables& tables, const VmRow& row) {
    const VmRuntime& runtime = row.runtime;
    const bool rests = runtime.state == VmState::stopped || runtime.state == VmState::failed;
    return rests && runtime.command == VmCommand::start && has_dead_node(tables, row);
}

bool awaits_an_answer(const Tables& tables, const VmRow& row) {
    return row.answered < row.ordered && has_dead_node(tables, row);
}

Result<VmRow*> stranded_on(Tables& tables, VmId vm, NodeId node) {
    QVD_TRY(VmRow* const row, tables.vm(vm));
    if (!is_stranded(tables, *row) || row->runtime.node != node) return answers::not_stranded(vm);
    return row;
}

}  // namespace

Async<std::vector<VmId>> MemoryStore::stranded_starts() {
    QVD_CO_CHECK(co_await ready());
    std::vector<VmId> stranded;
    for (const auto& [id, row] : tables_->vms)
        if (is_stranded(*tables_, row)) stranded.push_back(id);
    co_return stranded;
}

Async<void> MemoryStore::move_start(VmId vm, NodeId from, NodeId to) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, stranded_on(*tables_, vm, from));
    if (row->runtime.from_checkpoint) co_return answers::not_stranded(vm);
    QVD_CO_TRY(const NodeRow* const host, tables_->node(to));
    const auto needed = static_cast<double>(tables_->osfs.at(row->vm.osf).osf.memory_mib);
    QVD_CO_CHECK(tables_->check_room(*host, needed));
    row->reservation = {to, needed, tables_->now() + memory::reservation_time};
    row->runtime.node = to;
    tables_->announce_command(*row);
    tables_->announce_vms();
    co_return Result<void>{};
}

Async<void> MemoryStore::give_up_start(VmId vm, NodeId from, std::string reason) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, stranded_on(*tables_, vm, from));
    VmRuntime& runtime = row->runtime;
    tables_->announce_state(*row);
    tables_->announce_vms();
    runtime.command.reset();
    runtime.node.reset();
    runtime.retry_at.reset();
    runtime.from_checkpoint = false;
    runtime.state = VmState::failed;
    runtime.since = tables_->now();
    runtime.reason = std::move(reason);
    runtime.reason_code = "node.lost";
    row->reservation.reset();
    co_return Result<void>{};
}

Async<std::vector<VmId>> MemoryStore::stranded_orders() {
    QVD_CO_CHECK(co_await ready());
    std::vector<VmId> stranded;
    for (const auto& [id, row] : tables_->vms)
        if (awaits_an_answer(*tables_, row)) stranded.push_back(id);
    co_return stranded;
}

Async<void> MemoryStore::give_up_order(VmId vm, NodeId from, std::string reason) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (!awaits_an_answer(*tables_, *row) || row->runtime.node != from)
        co_return answers::not_stranded(vm);
    std::optional<VmCommand>& command = row->runtime.command;
    if (command != VmCommand::start && command != VmCommand::stop) command.reset();
    if (row->taken != VmCommand::stop) row->taken.reset();
    row->answered = row->ordered;
    row->answer = {"node.lost", std::move(reason)};
    tables_->announce_state(*row);
    if (row->runtime.state == VmState::suspended) row->reservation.reset();
    co_return Result<void>{};
}

}  // namespace qvd::store
