#include "hkd/vm_handler.hpp"

#include "base/log.hpp"
#include "hkd/spawn.hpp"

namespace qvd::hkd {

namespace asio = boost::asio;

VmHandler::VmHandler(Workshop& workshop, VmPlan plan, ImagePlan image, int attempt)
    : workshop_(&workshop),
      plan_(std::move(plan)),
      image_(std::move(image)),
      attempt_(attempt),
      entered_(workshop.schedule.clock().now()),
      alarm_(workshop.schedule.alarm()),
      turn_(workshop.schedule, 1) {
}

VmHandler::VmHandler(Workshop& workshop, VmPlan plan, const VmRuntime& runtime)
    : VmHandler(workshop, std::move(plan), {}, runtime.attempt) {
    remember(runtime);
}

void VmHandler::remember(const VmRuntime& runtime) {
    stage_ = {runtime.state, runtime.phase};
    reason_ = {runtime.reason_code, runtime.reason};
    saved_path_ = runtime.saved_path;
    stop_wanted_ = runtime.state == VmState::stopping;
    came_up_ = runtime.state != VmState::starting;
}

// ---- how it begins -------------------------------------------------------------------------

void VmHandler::begin(Over over) {
    over_ = std::move(over);
    spawn(run());
}

void VmHandler::start(Over over) {
    log::info("vm.start", {{"vm", plan_.vm}, {"incarnation", plan_.incarnation}},
              "starts " + plan_.name);
    spawn(launch(generation_));
    begin(std::move(over));
}

void VmHandler::start_again(Over over) {
    left_overs_ = true;
    start(std::move(over));
}

void VmHandler::fail_at_once(const Error& why, Over over) {
    post(VmEvent::died, Why::of(why, "vm.launch_failed"), 0);
    begin(std::move(over));
}

void VmHandler::refuse(const Error& why, Over over) {
    culpable_ = false;
    fail_at_once(why, std::move(over));
}

void VmHandler::adopt(const FoundVm& found, Over over) {
    pid_ = found.pid;
    log::info("vm.adopted", {{"vm", plan_.vm}, {"stage", to_string(stage_)}, {"pid", found.pid}},
              plan_.name + " ran on without hkd");
    if (stage_.state == VmState::starting) slot_ = workshop_->slots.take_anyway();
    if (stage_ == vm_stage::suspended) {
        waking_ = true;
        post(VmEvent::was_restored, 0);
        return begin(std::move(over));
    }
    post(VmEvent::adopted, reason_, 0);
    // An hkd before this one did not come to write that down.
    if (stage_ == vm_stage::running && found.state == plugin::BackendState::paused)
        post(VmEvent::was_paused, found.sentence.empty() ? Why() : why_paused(found), 0);
    if (stage_ == vm_stage::paused && found.state == plugin::BackendState::running)
        post(VmEvent::was_unpaused, 0);
    begin(std::move(over));
}

void VmHandler::give_up(Why why, Over over) {
    culpable_ = false;
    ended_ = true;
    ended_cleanly_ = true;
    end_reason_ = std::move(why);
    spawn(tidy());
    begin(std::move(over));
}

// ---- what others tell it -------------------------------------------------------------------

void VmHandler::order_stop(Why why) {
    if (stop_wanted_ || is_over(stage_)) return;
    stop_wanted_ = true;
    waking_ = waking_ || stage_ == vm_stage::suspended;
    post(VmEvent::stop_ordered, std::move(why), 0);
}

void VmHandler::order_kill() {
    order_stop(Why("node.evacuated", "the node is evacuated"));
    // In starting_1 the stop itself ends whatever there is.
    if (kill_wanted_ || is_over(stage_) || stage_ == vm_stage::starting_1) return;
    kill_wanted_ = true;
    spawn(tidy());
}

VmFacts VmHandler::facts() const {
    const auto stay = workshop_->schedule.clock().now() - entered_;
    return {plan_.vm,
            plan_.name,
            plan_.incarnation,
            stage_,
            std::chrono::duration_cast<std::chrono::seconds>(stay),
            reason_.sentence(),
            reason_.code(),
            doing_,
            pid_};
}

// ---- the life ------------------------------------------------------------------------------

void VmHandler::spawn(Awaitable<void> work) {
    // The work belongs to this handler, and keeps it until it has ended.
    hkd::spawn(workshop_->executor, std::move(work), shared_from_this());
}

void VmHandler::post(VmEvent event, Why why, std::uint64_t generation) {
    news_.push_back({event, std::move(why), generation});
    alarm_->ring();
}

// Whichever of vanished and died this stage knows, and if both, whether anybody wanted it.
VmEvent VmHandler::event_of_end() const {
    const bool knows_vanished = next_stage(stage_, VmEvent::vanished).has_value();
    const bool knows_died = next_stage(stage_, VmEvent::died).has_value();
    if (!knows_vanished || !knows_died) return knows_vanished ? VmEvent::vanished : VmEvent::died;
    const bool by_itself = stage_.state != VmState::zombie && ended_cleanly_;
    return stop_wanted_ || by_itself ? VmEvent::vanished : VmEvent::died;
}

// Which word it is, vanished or died, is decided when it is heard: a stop may come first.
void VmHandler::post_gone() {
    gone_ = true;
    post(VmEvent::vanished, end_reason_, 0);
}

asio::awaitable<void> VmHandler::run() {
    Slots::Slot turn;
    do {
        turn.release();
        while (!rests() && !disowned_) {
            const std::optional<Occurrence> next = co_await next_occurrence();
            if (next) co_await apply(*next);
        }
        leave_stage();
        if (disowned_) co_await destroy_disowned();
        // Calls under way must end before the next start of this VM makes its own; what is ordered
        // of it meanwhile is still this one's to do.
        turn = co_await turn_.take();
    } while (!rests());
    slot_.release();
    const Over over = std::move(over_);
    over({plan_.vm, stage_, attempt_, culpable_, retry_in_});
}

asio::awaitable<std::optional<VmHandler::Occurrence>> VmHandler::next_occurrence() {
    if (news_.empty() && !disowned_) {
        const Clock::time_point limit = tidying_ ? Alarm::never : limit_;
        if (workshop_->schedule.clock().now() >= limit) {
            limit_ = Alarm::never;
            co_return Occurrence{VmEvent::time_is_up, reason_, generation_};
        }
        co_await alarm_->wait_until(limit);
    }
    if (news_.empty() || disowned_) co_return std::nullopt;
    Occurrence first = std::move(news_.front());
    news_.pop_front();
    co_return first;
}

asio::awaitable<void> VmHandler::apply(Occurrence occurrence) {
    if (occurrence.generation != 0 && is_past(occurrence.generation)) co_return;
    if (occurrence.event == VmEvent::vanished) {
        occurrence.event = event_of_end();
        // Why it had to go says more than how it went.
        const bool had_to = stage_.state == VmState::zombie && !reason_.empty();
        if (occurrence.event == VmEvent::died && had_to) occurrence.why = reason_;
    }
    const auto next = next_stage(stage_, occurrence.event);
    if (!next) co_return ignore(occurrence);
    const bool stays = *next == stage_;
    if (stays && occurrence.event != VmEvent::time_is_up && occurrence.event != VmEvent::adopted)
        co_return;
    if (!stays) {
        const bool written = co_await record(*next, occurrence.event, occurrence.why);
        if (!written) co_return;
    }
    const VmStage before = std::exchange(stage_, *next);
    waking_ = false;
    log::info("vm.stage",
              {{"vm", plan_.vm},
               {"incarnation", plan_.incarnation},
               {"from", to_string(before)},
               {"to", to_string(stage_)},
               {"news", to_string(occurrence.event)},
               {"code", occurrence.why.code()}},
              occurrence.why.sentence());
    reason_ = occurrence.why;
    doing_.clear();
    enter(before);
    if (occurrence.order != 0) answer(occurrence.order, "", "");
}

void VmHandler::ignore(const Occurrence& impossible) {
    log::warn(
        "vm.impossible_event",
        {{"vm", plan_.vm}, {"stage", to_string(stage_)}, {"news", to_string(impossible.event)}},
        "cannot happen in this state; ignored");
    if (impossible.order != 0)
        answer(impossible.order, "vm.state", "it is " + to_string(stage_) + " by now");
}

asio::awaitable<bool> VmHandler::record(VmStage next, VmEvent event, Why why) {
    store::VmTransition change;
    change.vm = plan_.vm;
    change.incarnation = plan_.incarnation;
    // Both: the write may have happened, and only its answer been lost.
    change.from = {stage_.state, next.state};
    change.to = next.state;
    change.phase = next.phase;
    if (next == vm_stage::suspended) change.saved_path = saved_path_;
    if (next != vm_stage::running) {
        change.code = why.code();
        change.reason = why.sentence();
    }
    if (event == VmEvent::died && culpable_) judge_failure(change);
    if (event == VmEvent::died && culpable_) {
        if (!std::exchange(words_kept_, true)) (void)workshop_->logs.keep(plan_, 0);
        (void)workshop_->logs.explain(plan_, why);
    }
    store::Store* const store = &workshop_->store;
    const bool over = is_over(next);
    std::function<Async<void>()> write = [store, change, over]() -> Async<void> {
        return over ? store->clear_vm(change) : store->transition(change);
    };
    co_return co_await until_written(std::move(write));
}

// hkd.vm.failure. A way back to a checkpoint that fails says nothing about the VM: who ordered it
// decides what comes next.
void VmHandler::judge_failure(store::VmTransition& change) {
    if (!plan_.checkpoint.empty() && !came_up_) return;
    const Limits& limits = *workshop_->limits;
    change.failure = true;
    const int failed = attempt_ + 1;
    if (limits.failure == FailurePolicy::retry && failed < limits.retry.attempts)
        retry_in_ = limits.retry.pause_after(failed);
    change.retry_in = retry_in_;
    // Retries used up are a failure like any other.
    change.block = limits.failure != FailurePolicy::ignore && !retry_in_;
}

// A database that is away stops nothing: the VM waits in its state until the next is written.
asio::awaitable<bool> VmHandler::until_written(std::function<Async<void>()> write) {
    bool told = false;
    for (;;) {
        const Result<void> written = co_await write();
        if (written.ok()) co_return true;
        const ErrorKind kind = written.error().kind();
        if (kind == ErrorKind::conflict || kind == ErrorKind::not_found) {
            disowned_ = written.error();
            alarm_->ring();
            co_return false;
        }
        if (!told)
            log::warn("vm.not_written", {{"vm", plan_.vm}, {"code", written.error().code()}},
                      "its state waits to be written: " + written.error().sentence());
        told = true;
        co_await workshop_->schedule.sleep(Milliseconds{1000});
    }
}

// Somebody else has decided about this VM (an operator, another node): it must not run here.
asio::awaitable<void> VmHandler::destroy_disowned() {
    culpable_ = false;
    log::error("vm.disowned", {{"vm", plan_.vm}, {"incarnation", plan_.incarnation}},
               "the database says otherwise, so it is ended here: " + disowned_->sentence());
    for (;;) {
        Slots::Slot turn = co_await turn_.take();
        const Deadline deadline =
            Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
        VmPlan plan = plan_;
        const Result<void> destroyed =
            co_await workshop_->backend.destroy(std::move(plan), deadline);
        if (destroyed.ok()) break;
        log::error("vm.not_destroyed", {{"vm", plan_.vm}}, destroyed.error().sentence());
        turn.release();
        co_await workshop_->schedule.sleep(workshop_->limits->zombie_2);
    }
    gone_ = true;
    stage_ = vm_stage::stopped;
}

Clock::time_point VmHandler::time_limit() const {
    const Limits& limits = *workshop_->limits;
    if (stage_ == vm_stage::stopping_1) return workshop_->schedule.in(limits.stopping_1);
    if (stage_ == vm_stage::stopping_2) return workshop_->schedule.in(limits.stopping_2);
    if (stage_ == vm_stage::zombie_1) return workshop_->schedule.in(limits.zombie_1);
    if (stage_ == vm_stage::zombie_2) return workshop_->schedule.in(limits.zombie_2);
    // starting_2, running and debug end by what the agent says or does not say.
    return Alarm::never;
}

// What was begun in it and still waits sees that it is over.
void VmHandler::leave_stage() {
    ++generation_;
    for (const auto& pausing : std::exchange(pauses_, {}))
        if (const auto alarm = pausing.lock()) alarm->ring();
}

void VmHandler::enter(VmStage before) {
    leave_stage();
    entered_ = workshop_->schedule.clock().now();
    limit_ = time_limit();
    if (stage_.state != VmState::starting) slot_.release();
    if (is_over(stage_) || stage_ == vm_stage::suspended) return;
    // Left without having been launched, or nothing there any more: only cleaning up remains.
    const bool unlaunched = (before == vm_stage::starting_1 && stage_ != vm_stage::starting_2) ||
                            (before == vm_stage::suspended && stage_ != vm_stage::running);
    if (ended_ || kill_wanted_ || unlaunched || stage_ == vm_stage::zombie_2)
        spawn(tidy());
    else
        begin_stage(before);
}

void VmHandler::begin_stage(VmStage before) {
    if (stage_ == vm_stage::starting_2) spawn(await_agent(generation_));
    if (stage_ == vm_stage::running) {
        came_up_ = true;
        if (!up_since_) up_since_ = entered_;
        spawn(
            watch_agent(generation_, before == vm_stage::starting_2 || before == vm_stage::debug));
    }
    if (stage_ == vm_stage::debug) spawn(watch_for_recovery(generation_));
    if (stage_ == vm_stage::stopping_1)
        spawn(before == vm_stage::paused ? shut_down_paused(generation_) : shut_down(generation_));
    if (stage_ == vm_stage::zombie_1) spawn(terminate(generation_));
}

}  // namespace qvd::hkd
