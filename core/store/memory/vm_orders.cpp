// The memory store: orders besides start and stop, and their answers.
#include "store/memory/tables.hpp"

namespace qvd::store {

using memory::VmRow;

Async<std::int64_t> MemoryStore::order(VmId vm, VmCommand command, std::string argument) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    VmRuntime& runtime = row->runtime;
    if (!may_be_ordered(command, runtime.state))
        co_return answers::not_orderable(vm, command, runtime.state, runtime.phase);
    if (runtime.command) co_return answers::order_pending(vm);
    if (command == VmCommand::resume) {
        QVD_CO_TRY(const memory::NodeRow* const host, tables_->node(*runtime.node));
        const auto needed = static_cast<double>(tables_->osfs.at(row->vm.osf).osf.memory_mib);
        QVD_CO_CHECK(tables_->check_room(*host, needed));
        row->reservation = {*runtime.node, needed, std::nullopt};
    }
    runtime.command = command;
    row->argument = std::move(argument);
    tables_->announce_command(*row);
    co_return ++row->ordered;
}

Async<VmOrder> MemoryStore::take_order(VmId vm, NodeId node) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    const auto command = row->runtime.command;
    if (!command || *command == VmCommand::start || *command == VmCommand::stop ||
        row->runtime.node != node)
        co_return answers::no_command(vm);
    row->runtime.command.reset();
    row->taken = command;
    VmOrder order;
    order.command = *command;
    order.argument = row->argument;
    order.number = row->ordered;
    if (loses_answers_) co_return answers::down("its answer was lost");
    co_return order;
}

Async<void> MemoryStore::answer_order(VmId vm, std::int64_t number, OrderAnswer answer) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (row->answered >= number) co_return Result<void>{};
    row->answered = number;
    if (row->taken != VmCommand::stop) row->taken.reset();
    if (!answer.code.empty() && row->runtime.state == VmState::suspended) row->reservation.reset();
    row->answer = std::move(answer);
    tables_->announce_state(*row);
    co_return Result<void>{};
}

Async<std::optional<OrderAnswer>> MemoryStore::order_answer(VmId vm, std::int64_t number) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(const VmRow* const row, tables_->vm(vm));
    if (row->answered < number) co_return std::optional<OrderAnswer>{};
    co_return std::optional(row->answer);
}

namespace {

// Taken, and neither answered nor, a stop, begun.
bool is_open(const VmRow& row) {
    if (!row.taken || row.runtime.command) return false;
    const VmState state = row.runtime.state;
    if (*row.taken == VmCommand::stop)
        return state != VmState::stopping && state != VmState::zombie;
    return row.answered < row.ordered;
}

}  // namespace

Async<int> MemoryStore::return_orders(NodeId node, std::optional<VmId> vm) {
    QVD_CO_CHECK(co_await ready());
    int count = 0;
    for (auto& [id, row] : tables_->vms) {
        if (!is_open(row) || row.runtime.node != node || (vm && *vm != id)) continue;
        row.runtime.command = std::exchange(row.taken, std::nullopt);
        tables_->announce_command(row);
        ++count;
    }
    co_return count;
}

Async<std::string> MemoryStore::remember_checkpoint(VmId vm, std::int64_t incarnation,
                                                    std::string path) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm, incarnation));
    const VmRuntime& runtime = row->runtime;
    if (runtime.state == VmState::stopped || runtime.state == VmState::failed)
        co_return answers::conflict(
            "vm.state", "vm " + vm.text() + " is " + to_string(runtime.state, 0) + " by now");
    std::string former;
    if (row->checkpoint && row->checkpoint->node == runtime.node && row->checkpoint->path != path)
        former = row->checkpoint->path;
    Checkpoint checkpoint;
    checkpoint.path = std::move(path);
    checkpoint.at = tables_->now();
    checkpoint.node = *runtime.node;
    checkpoint.hypervisor = runtime.hypervisor;
    if (runtime.current_di) checkpoint.di = tables_->dis.at(*runtime.current_di).di;
    if (checkpoint.di) checkpoint.di->tags.clear();
    row->checkpoint = std::move(checkpoint);
    row->checkpoint_token = row->token;
    co_return former;
}

Async<void> MemoryStore::order_restart(VmId vm, std::int64_t incarnation) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm, incarnation));
    const VmState state = row->runtime.state;
    if (state == VmState::stopped || state == VmState::failed)
        co_return answers::conflict("vm.state",
                                    "vm " + vm.text() + " is " + to_string(state, 0) + " by now");
    row->runtime.restarts = true;
    co_return Result<void>{};
}

Async<void> MemoryStore::forget_failures(VmId vm, std::int64_t incarnation) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm, incarnation));
    row->runtime.attempt = 0;
    co_return Result<void>{};
}

}  // namespace qvd::store
