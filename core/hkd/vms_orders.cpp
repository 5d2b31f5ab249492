// How orders come from the database to the VMs of this node.
#include "base/log.hpp"
#include "hkd/spawn.hpp"
#include "hkd/vm_plan.hpp"
#include "hkd/vms.hpp"

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

// Before an order whose taking failed is looked after: whatever was in the way may have gone.
constexpr Milliseconds doubt_pause{1'000};

}  // namespace

asio::awaitable<void> Vms::follow_orders(Milliseconds every) {
    while (!closed_) {
        look_ = false;
        const auto pending = co_await workshop_->store.pending_commands(node_);
        workshop_->database_away = !pending.ok();
        if (pending.ok()) {
            if (std::exchange(deaf_, false))
                log::info("hkd.database_back", {}, "takes orders again");
            for (const auto& [vm, command] : *pending) co_await take(vm, command);
        } else if (!std::exchange(deaf_, true)) {
            log::warn("hkd.database_away", {{"code", pending.error().code()}},
                      "no orders for now: " + pending.error().sentence());
        }
        if (!look_ && !closed_) co_await orders_->wait_until(workshop_->schedule.in(every));
    }
}

void Vms::look_for_orders() {
    look_ = true;
    orders_->ring();
}

void Vms::close() {
    closed_ = true;
    orders_->ring();
}

asio::awaitable<void> Vms::take(VmId vm, VmCommand command) {
    if (closed_) co_return;
    if (command == VmCommand::start)
        co_await take_start(vm);
    else if (command == VmCommand::stop)
        co_await take_stop(vm);
    else
        co_await take_order(vm);
}

// The database may have given it to us, and only its answer been lost.
void Vms::not_taken(VmId vm, const Error& why) {
    log::warn("vm.order_not_taken", {{"vm", vm}, {"code", why.code()}}, why.sentence());
    const bool unknown = why.kind() != ErrorKind::conflict && why.kind() != ErrorKind::not_found;
    if (unknown && doubtful_.insert(vm).second) spawn(workshop_->executor, clear_up(vm), 0);
}

// An order that is ours by the database, and that nobody here knows of, would be lost.
asio::awaitable<void> Vms::clear_up(VmId vm) {
    bool cleared = false;
    while (!cleared && !closed_) {
        co_await workshop_->schedule.sleep(doubt_pause);
        doubtful_.erase(vm);
        const Result<void> looked = co_await look_for_lost(vm);
        cleared = looked.ok();
        // While that was asked it may have become another's to find out.
        if (!cleared && !doubtful_.insert(vm).second) co_return;
    }
}

Async<void> Vms::look_for_lost(VmId vm) {
    QVD_CO_TRY(const auto row, co_await workshop_->store.vm(vm));
    if (!row || row->runtime.node != node_ || closed_) co_return Result<void>{};
    const VmStage stage{row->runtime.state, row->runtime.phase};
    if (stage != vm_stage::starting_1 || handlers_.contains(vm) || unseen_.contains(vm)) {
        QVD_CO_CHECK(co_await workshop_->store.return_orders(node_, vm));
        co_return Result<void>{};
    }
    const bool again = co_await launch_again(*row);
    if (again) co_return Result<void>{};
    // Nobody can carry it out.
    QVD_CO_TRY(Properties properties, co_await workshop_->store.session_properties(vm));
    if (handlers_.contains(vm)) co_return Result<void>{};
    VmPlan plan = plan_known(*row, std::move(properties), view_);
    auto handler = std::make_shared<VmHandler>(*workshop_, std::move(plan), row->runtime);
    handlers_[vm] = handler;
    handler->give_up(Why("vm.launch_failed", "its start could not be taken"), when_over());
    co_return Result<void>{};
}

asio::awaitable<void> Vms::take_order(VmId vm) {
    auto order = co_await workshop_->store.take_order(vm, node_);
    if (!order.ok()) co_return not_taken(vm, order.error());
    if (unseen_.contains(vm)) {
        store::OrderAnswer refusal{"hypervisor.silent", silence()};
        (void)co_await workshop_->store.answer_order(vm, order->number, std::move(refusal));
        co_return;
    }
    const auto handler = co_await handler_of(vm);
    if (handler) co_return handler->obey(std::move(*order));
    store::OrderAnswer answer{"vm.not_here", "it is not on this node"};
    (void)co_await workshop_->store.answer_order(vm, order->number, std::move(answer));
}

// A suspended VM gets one when something is to be done with it.
asio::awaitable<std::shared_ptr<VmHandler>> Vms::handler_of(VmId vm) {
    if (auto known = find(vm)) co_return known;
    if (unseen_.contains(vm)) co_return nullptr;
    const auto row = co_await workshop_->store.vm(vm);
    const bool rests = row.ok() && *row && (*row)->runtime.state == VmState::suspended &&
                       (*row)->runtime.node == node_;
    if (!rests) co_return nullptr;
    const auto properties = co_await workshop_->store.session_properties(vm);
    if (!properties.ok()) co_return nullptr;
    VmPlan plan = plan_known(**row, *properties, view_);
    if (const auto known = workshop_->backend.know(plan.hypervisor); !known.ok())
        log::error("hypervisor.not_loaded", {{"vm", vm}, {"plugin", plan.hypervisor}},
                   known.error().sentence());
    // Another turn of the loop may have been faster.
    if (auto known = find(vm)) co_return known;
    auto handler = std::make_shared<VmHandler>(*workshop_, std::move(plan), (*row)->runtime);
    handlers_[vm] = handler;
    handler->wake(when_over());
    co_return handler;
}

asio::awaitable<void> Vms::take_start(VmId vm) {
    // Its last life ends first; over() looks for this order again.
    if (handlers_.contains(vm)) co_return;
    const auto order = co_await workshop_->store.take_start(vm, node_);
    if (!order.ok()) co_return not_taken(vm, order.error());
    begin(*order, false);
}

void Vms::begin(const store::StartOrder& order, bool again) {
    Result<VmPlan> plan = plan_start(order, view_);
    const bool sound = plan.ok();
    const Error why = sound ? Error{ErrorKind::internal, "", ""} : plan.error();
    const auto handler = std::make_shared<VmHandler>(
        *workshop_,
        sound ? std::move(plan).value() : plan_known(order.record, order.properties, view_),
        plan_image(order, view_), order.record.runtime.attempt);
    handlers_[order.record.vm.id] = handler;
    const auto silent = silent_.find(handler->plan().hypervisor);
    if (!sound)
        handler->fail_at_once(why, when_over());
    else if (silent != silent_.end())
        handler->refuse({ErrorKind::unavailable, "hypervisor.silent",
                         says_nothing(silent->first, silent->second) +
                             "; until it does, none of its virtual machines starts on this node"},
                        when_over());
    else if (again)
        handler->start_again(when_over());
    else
        handler->start(when_over());
}

asio::awaitable<void> Vms::take_stop(VmId vm) {
    // It waits: nobody can tell yet what there is to stop.
    if (unseen_.contains(vm)) co_return;
    const auto taken = co_await workshop_->store.take_stop(vm, node_);
    if (!taken.ok()) co_return not_taken(vm, taken.error());
    const auto handler = co_await handler_of(vm);
    if (handler)
        handler->order_stop(Why());
    else
        log::warn("vm.stop_without_vm", {{"vm", vm}}, "ordered to stop, but it is not here");
}

}  // namespace qvd::hkd
