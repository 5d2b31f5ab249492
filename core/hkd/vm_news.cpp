// What becomes of a VM without an order, as its hypervisor tells it, or is asked for it.
#include "base/log.hpp"
#include "hkd/vm_handler.hpp"

#include <cerrno>
#include <utility>

namespace qvd::hkd {

namespace asio = boost::asio;

void VmHandler::ended(const FoundVm& found) {
    if (found.incarnation != plan_.incarnation || ended_ || is_over(stage_)) return;
    if (stage_ == vm_stage::suspended) return;
    // Whether it comes back is known when the order is done.
    if (away_) {
        missed_ = found;
        return;
    }
    if (found.state == plugin::BackendState::suspended) return missing(found);
    clean_up_after(found);
}

void VmHandler::clean_up_after(const FoundVm& found) {
    ended_ = true;
    ended_cleanly_ = found.state == plugin::BackendState::stopped;
    end_reason_ = why_ended(found.sentence);
    log::info("vm.ended",
              {{"vm", plan_.vm}, {"stage", to_string(stage_)}, {"code", end_reason_.code()}},
              end_reason_.sentence());
    spawn(tidy());
}

void VmHandler::missing(const FoundVm& end) {
    if (away_ || looking_ || ended_ || is_over(stage_)) return;
    spawn(look_what_is_left(end));
}

void VmHandler::seen(const FoundVm& found) {
    if (found.pid != 0) pid_ = found.pid;
    // By then it may be what somebody has ordered.
    if (turn_.taken() > 0 || found.incarnation != plan_.incarnation) return;
    if (stage_ == vm_stage::running && found.state == plugin::BackendState::paused)
        post(VmEvent::was_paused, why_paused(found), generation_);
    if (stage_ == vm_stage::paused && found.state == plugin::BackendState::running)
        post(VmEvent::was_unpaused, generation_);
}

void VmHandler::stands_still(const FoundVm& found) {
    if (found.incarnation == plan_.incarnation && stage_ == vm_stage::running && turn_.taken() == 0)
        spawn(look_how_it_is());
}

Why VmHandler::why_ended(const std::string& sentence) const {
    if (!came_up_)
        return {"vm.boot_failed",
                "it ended before its agent answered" + (sentence.empty() ? "" : ": " + sentence)};
    if (ended_cleanly_)
        return {"vm.shut_down", sentence.empty() ? "it shut itself down" : sentence};
    return {"vm.crashed", sentence.empty() ? "its process ended unexpectedly" : sentence};
}

Why VmHandler::why_paused(const FoundVm& found) {
    const bool is_full = found.exit_code == ENOSPC;
    return {is_full ? "vm.disk_full" : "vm.paused_by_hypervisor",
            found.sentence.empty() ? "its hypervisor lets it stand still" : found.sentence};
}

// What moved its memory may have cost the VM, or left it on disk.
// NOLINTNEXTLINE(misc-no-recursion): see carry_out()
asio::awaitable<void> VmHandler::look_what_is_left(std::optional<FoundVm> missed) {
    if (std::exchange(looking_, true)) co_return;
    Slots::Slot turn = co_await turn_.take();
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    VmPlan plan = plan_;
    auto state = co_await workshop_->backend.state(std::move(plan), deadline);
    turn.release();
    looking_ = false;
    if (!state.ok() || is_alive(state->state) || ended_) co_return;
    if (is_over(stage_) || stage_ == vm_stage::suspended) co_return;
    if (state->state == plugin::BackendState::suspended && next_stage(stage_, VmEvent::was_saved) &&
        !stop_wanted_) {
        store::VmOrder order;
        order.command = VmCommand::suspend;  // safe to repeat, and it knows where the memory is
        co_return co_await carry_out(std::move(order), generation_);
    }
    const bool is_told = missed && missed->state != plugin::BackendState::suspended;
    FoundVm end = is_told ? *missed : *state;
    end.incarnation = plan_.incarnation;
    // Its end is ordered: nobody wants the memory.
    if (end.state == plugin::BackendState::suspended) end.state = plugin::BackendState::stopped;
    clean_up_after(end);
}

asio::awaitable<void> VmHandler::look_how_it_is() {
    Slots::Slot turn = co_await turn_.take();
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    VmPlan plan = plan_;
    auto state = co_await workshop_->backend.state(std::move(plan), deadline);
    turn.release();
    if (!state.ok()) co_return;
    state->incarnation = plan_.incarnation;
    seen(*state);
}

}  // namespace qvd::hkd
