// What is ordered of a VM besides its start and its stop. Calls to the backend come one after the
// other; a stop that comes meanwhile waits for its turn and then ends whatever there is.
#include "base/log.hpp"
#include "hkd/checkpoints.hpp"
#include "hkd/vm_handler.hpp"

namespace qvd::hkd {

namespace asio = boost::asio;

void VmHandler::wake(Over over) {
    waking_ = true;
    begin(std::move(over));
}

void VmHandler::finish_suspending(Over over) {
    store::VmOrder order;
    order.command = VmCommand::suspend;
    spawn(carry_out(std::move(order), generation_));
    begin(std::move(over));
}

namespace {

// An hkd before this one may have obeyed, and not come to write that down.
bool is_done(VmCommand command, VmState state) {
    switch (command) {
        case VmCommand::pause:
            return state == VmState::paused;
        case VmCommand::suspend:
            return state == VmState::suspended;
        case VmCommand::unpause:
        case VmCommand::resume:
            return state == VmState::running;
        default:
            return false;
    }
}

// Memory goes to disk or comes from there: the guest stands still meanwhile, or is not there.
bool moves_memory(VmCommand command) {
    return command == VmCommand::suspend || command == VmCommand::resume ||
           command == VmCommand::checkpoint || command == VmCommand::snapshot;
}

}  // namespace

void VmHandler::obey(store::VmOrder order) {
    if (may_be_ordered(order.command, stage_.state)) {
        waking_ = stage_ == vm_stage::suspended;  // also where it was about to rest
        return spawn(carry_out(std::move(order), generation_));
    }
    answer_by_stage(order);
    waking_ = false;
    alarm_->ring();
}

void VmHandler::answer_by_stage(const store::VmOrder& order) {
    const bool done = is_done(order.command, stage_.state);
    answer(order.number, done ? "" : "vm.state",
           done ? "" : "it is " + to_string(stage_) + " by now");
}

// NOLINTNEXTLINE(misc-no-recursion): behind what nobody ordered nobody looks
asio::awaitable<void> VmHandler::carry_out(store::VmOrder order, std::uint64_t generation) {
    const std::int64_t number = order.number;
    Slots::Slot turn = co_await turn_.take();
    if (is_past(generation) || ended_) co_return answer_by_stage(order);
    away_ = moves_memory(order.command);
    stood_still_ |= away_;
    const Result<std::string> done = co_await ask_backend(order);
    const bool was_away = std::exchange(away_, false);
    const auto missed = std::exchange(missed_, std::nullopt);
    turn.release();
    log::info("vm.ordered",
              {{"vm", plan_.vm},
               {"order", to_string(order.command)},
               {"code", done.ok() ? "" : done.error().code()}},
              done.ok() ? *done : done.error().sentence());
    if (done.ok() && is_past(generation) && order.command == VmCommand::suspend) {
        // Ordered twice, by an hkd before this one perhaps.
        if (stage_ == vm_stage::suspended) co_return answer_by_stage(order);
        co_return co_await suspended_too_late();
    }
    if (done.ok()) carried_out(order, *done);
    if (!done.ok()) answer(number, done.error().code(), done.error().sentence());
    // What was left has just been looked at, if nobody ordered this: the next survey looks again.
    const bool may_be_lost =
        done.ok() ? missed && order.command != VmCommand::suspend : was_away && order.number != 0;
    if (may_be_lost) co_await look_what_is_left(missed);
    if (done.ok()) co_return;
    waking_ = false;
    alarm_->ring();
}

Async<std::string> VmHandler::ask_backend(store::VmOrder order) {
    QVD_CO_TRY(VmPlan plan, co_await plan_for(order.command));
    // As long as an image may take.
    const Milliseconds patience =
        moves_memory(order.command) ? workshop_->limits->image : workshop_->limits->launch;
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), patience);
    std::string argument =
        order.command == VmCommand::resume ? saved_path_ : std::move(order.argument);
    co_return co_await workshop_->backend.carry_out(std::move(plan), order.command,
                                                    std::move(argument), deadline);
}

// What comes back into memory is to find its agent's token where it was.
Async<VmPlan> VmHandler::plan_for(VmCommand command) {
    VmPlan plan = plan_;
    if (command != VmCommand::resume) co_return plan;
    QVD_CO_TRY(const auto access, co_await workshop_->store.agent_access(plan_.vm));
    plan.agent_token = access.token;
    co_return plan;
}

// The state's own change is written first, and answers the order then.
void VmHandler::carried_out(const store::VmOrder& order, const std::string& path) {
    const auto becomes = [this, &order](VmEvent event) {
        news_.push_back({event, Why(), 0, order.number});
        alarm_->ring();
    };
    switch (order.command) {
        case VmCommand::pause:
            return becomes(VmEvent::was_paused);
        case VmCommand::unpause:
            return becomes(VmEvent::was_unpaused);
        case VmCommand::suspend:
            saved_path_ = path;
            pid_ = 0;
            return becomes(VmEvent::was_saved);
        case VmCommand::resume:
            return becomes(VmEvent::was_restored);
        case VmCommand::checkpoint:
            return spawn(keep_checkpoint(order.number, path));
        default:
            return answer(order.number, "", path);
    }
}

// The one before has served its turn once the database knows the new one.
asio::awaitable<void> VmHandler::keep_checkpoint(std::int64_t number, std::string path) {
    for (;;) {
        const auto former =
            co_await workshop_->store.remember_checkpoint(plan_.vm, plan_.incarnation, path);
        if (former.ok()) {
            remove_checkpoint(plan_.vm, *former, workshop_->limits->storage);
            co_return answer(number, "", path);
        }
        const ErrorKind kind = former.error().kind();
        if (kind == ErrorKind::conflict || kind == ErrorKind::not_found) {
            remove_checkpoint(plan_.vm, path, workshop_->limits->storage);
            co_return answer(number, former.error().code(), former.error().sentence());
        }
        co_await workshop_->schedule.sleep(Milliseconds{1000});
    }
}

// Somebody has ordered its end meanwhile: nothing of it runs, and its memory is not wanted.
asio::awaitable<void> VmHandler::suspended_too_late() {
    ended_ = true;
    ended_cleanly_ = true;
    co_await tidy();
}

// Standing still it could not say goodbye.
asio::awaitable<void> VmHandler::shut_down_paused(std::uint64_t generation) {
    Slots::Slot turn = co_await turn_.take();
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    VmPlan plan = plan_;
    std::string nothing;
    const auto woken = co_await workshop_->backend.carry_out(std::move(plan), VmCommand::unpause,
                                                             std::move(nothing), deadline);
    turn.release();
    if (!woken.ok())
        log::warn("vm.not_unpaused", {{"vm", plan_.vm}, {"code", woken.error().code()}},
                  woken.error().sentence());
    if (!is_past(generation)) co_await shut_down(generation);
}

void VmHandler::answer(std::int64_t order, std::string code, std::string text) {
    if (order == 0) return;
    store::OrderAnswer said{std::move(code), std::move(text)};
    spawn(write_answer(order, std::move(said)));
}

// Who waits for it gives up by himself.
asio::awaitable<void> VmHandler::write_answer(std::int64_t order, store::OrderAnswer said) {
    const auto written = co_await workshop_->store.answer_order(plan_.vm, order, std::move(said));
    if (!written.ok())
        log::warn("vm.order_not_answered", {{"vm", plan_.vm}, {"code", written.error().code()}},
                  written.error().sentence());
}

}  // namespace qvd::hkd
