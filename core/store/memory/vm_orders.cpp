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
    VmOrder order;
    order.command = *command;
    order.argument = row->argument;
    order.number = row->ordered;
    co_return order;
}

Async<void> MemoryStore::answer_order(VmId vm, std::int64_t number, OrderAnswer answer) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (row->answered >= number) co_return Result<void>{};
    row->answered = number;
    if (!answer.code.empty() && row->runtime.state == VmState::suspended) row->reservation.reset();
    row->answer = std::move(answer);
    co_return Result<void>{};
}

Async<std::optional<OrderAnswer>> MemoryStore::order_answer(VmId vm, std::int64_t number) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(const VmRow* const row, tables_->vm(vm));
    if (row->answered < number) co_return std::optional<OrderAnswer>{};
    co_return std::optional(row->answer);
}

}  // namespace qvd::store
