// What a VM's handler does in each stage. Works are never cut short: they look, after each wait,
// whether their stage is over.
#include "base/file.hpp"
#include "base/log.hpp"
#include "hkd/utc.hpp"
#include "hkd/vm_handler.hpp"

#include <algorithm>
#include <filesystem>

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds first_ping_pause{20};
constexpr Milliseconds longest_ping_pause{1000};
// For what only helps to tell why it failed.
constexpr Milliseconds state_patience{2'000};

// Nobody asked the agent: that says nothing about the VM.
bool says_nothing(const Error& error) {
    return error.code() == "agent.no_broker" || error.code() == "agent.stale";
}

}  // namespace

// Counts the calls that an agent left unanswered.
class VmHandler::Silence {
public:
    Silence(const Clock& clock, Patience patience)
        : clock_(&clock), patience_(patience), since_(clock.now()), last_(since_) {}

    void broken() {
        last_ = since_ = clock_->now();
        calls_ = 0;
    }
    // Not known to be the agent's fault: nobody could tell since the last call, and that time does
    // not count.
    void goes_on(bool known) {
        const Clock::time_point now = clock_->now();
        const auto since_last = now - std::exchange(last_, now);
        if (known)
            ++calls_;
        else
            since_ += since_last;
    }
    [[nodiscard]] bool too_long() const {
        return calls_ >= patience_.max_count && clock_->now() - since_ > patience_.max_time;
    }
    [[nodiscard]] std::string text() const {
        const auto time = std::chrono::duration_cast<std::chrono::seconds>(clock_->now() - since_);
        return "its agent has not answered for " + std::to_string(time.count()) + " s";
    }

private:
    const Clock* clock_;
    Patience patience_;
    Clock::time_point since_;
    Clock::time_point last_;
    int calls_ = 0;
};

asio::awaitable<void> VmHandler::pause(Milliseconds time) {
    const std::shared_ptr<Alarm> alarm = workshop_->schedule.alarm();
    std::erase_if(pauses_, [](const std::weak_ptr<Alarm>& old) { return old.expired(); });
    pauses_.push_back(alarm);
    co_await alarm->wait_until(workshop_->schedule.in(time));
}

// ---- starting ------------------------------------------------------------------------------

asio::awaitable<void> VmHandler::launch(std::uint64_t generation) {
    doing_ = "waiting for its turn to start";
    Slots::Slot slot = co_await workshop_->slots.take();
    if (is_past(generation)) co_return;
    slot_ = std::move(slot);
    post(VmEvent::slot_granted, generation);

    doing_ = "preparing the image";
    Backend::Progress progress = [self = weak_from_this(), generation](const std::string& text) {
        const auto handler = self.lock();
        if (handler && !handler->is_past(generation)) handler->doing_ = text;
    };
    ImagePlan image = image_;
    const Milliseconds patience = workshop_->limits->image;
    const Result<void> prepared =
        co_await workshop_->images.prepare(std::move(image), patience, std::move(progress));
    if (is_past(generation)) co_return;
    if (!prepared.ok()) {
        post(VmEvent::died, Why::of(prepared.error(), "vm.image_failed"), generation);
        co_return;
    }
    const Result<void> announced = co_await announce();
    if (is_past(generation) || !announced.ok()) co_return;

    doing_ = plan_.checkpoint.empty() ? "launching" : "going back to its checkpoint";
    const Result<void> started = co_await start_backend(generation);
    if (started.ok())
        post(VmEvent::launched, generation);
    else
        post(VmEvent::launch_failed,
             Why::of(started.error(),
                     plan_.checkpoint.empty() ? "vm.launch_failed" : "vm.restore_failed"),
             generation);
}

// Before the VM runs: whoever waits for it finds its address as soon as there is one.
Async<void> VmHandler::announce() {
    store::Store* const store = &workshop_->store;
    const VmPlan* const plan = &plan_;
    const int nx_port = workshop_->limits->nx_port;
    std::function<Async<void>()> name_di = [store, plan]() -> Async<void> {
        return store->set_launch(plan->vm, plan->incarnation, plan->di, plan->hypervisor);
    };
    std::function<Async<void>()> name_ports = [store, plan, nx_port]() -> Async<void> {
        const std::string& address = plan->address;
        std::vector<store::Endpoint> endpoints{
            {"agent", "tcp", address, static_cast<int>(plan->agent_port)},
            {"nx", "tcp", address, nx_port}};
        return store->set_endpoints(plan->vm, plan->incarnation, address, std::move(endpoints));
    };
    const bool named = co_await until_written(std::move(name_di));
    if (!named) co_return *disowned_;
    const bool reachable = co_await until_written(std::move(name_ports));
    if (!reachable) co_return *disowned_;
    co_return Result<void>{};
}

Async<void> VmHandler::start_backend(std::uint64_t generation) {
    const Slots::Slot turn = co_await turn_.take();
    if (is_past(generation) || tidying_)
        co_return Error{ErrorKind::cancelled, "vm.stopped", "it was stopped before it ran"};
    QVD_CO_CHECK(file::make_folders(plan_.runtime_path, 0700));
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    if (std::exchange(left_overs_, false)) {
        VmPlan before = plan_;
        QVD_CO_CHECK(co_await workshop_->backend.destroy(std::move(before), deadline));
    }
    if (!plan_.checkpoint.empty()) co_return co_await go_back();
    VmPlan plan = plan_;
    co_return co_await workshop_->backend.start(std::move(plan), deadline);
}

// Instead of booting; its memory comes from disk, which may take as long as an image.
Async<void> VmHandler::go_back() {
    std::error_code ignored;
    if (!std::filesystem::exists(plan_.checkpoint, ignored))
        co_return Error{
            ErrorKind::not_found, "vm.checkpoint_missing",
            "its checkpoint is not on this node any more: there is no " + plan_.checkpoint};
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->image);
    VmPlan plan = plan_;
    std::string path = plan_.checkpoint;
    const auto back = co_await workshop_->backend.carry_out(std::move(plan), VmCommand::resume,
                                                            std::move(path), deadline);
    if (!back.ok()) co_return back.error();
    co_return Result<void>{};
}

// ---- the agent -----------------------------------------------------------------------------

Async<std::string> VmHandler::call_agent(std::string method, AgentParameters parameters) {
    const Milliseconds timeout = workshop_->limits->agent_call;
    co_return co_await workshop_->agents.call(plan_.vm, plan_.incarnation, std::move(method),
                                              std::move(parameters), timeout);
}

// OK if the agent is there, even if it says no.
Async<void> VmHandler::ping() {
    std::string method = "ping";
    AgentParameters none;
    const Result<std::string> answer = co_await call_agent(std::move(method), std::move(none));
    if (answer.ok() || answer.error().code() == "agent.refused") co_return Result<void>{};
    co_return answer.error();
}

// Closely at first: the client waits for this.
asio::awaitable<void> VmHandler::await_agent(std::uint64_t generation) {
    doing_ = "booting";
    Silence silence(workshop_->schedule.clock(), workshop_->limits->starting);
    Milliseconds wait = first_ping_pause;
    for (;;) {
        const Result<void> answer = co_await ping();
        if (is_past(generation)) co_return;
        if (answer.ok()) co_return post(VmEvent::agent_answers, generation);
        const bool counts = co_await tells(answer.error());
        if (is_past(generation)) co_return;
        silence.goes_on(counts);
        if (counts && silence.too_long())
            co_return post(event_of_silence(VmEvent::time_is_up),
                           why_silent(silence.text(), answer.error()), generation);
        co_await pause(wait);
        if (is_past(generation)) co_return;
        wait = std::min(longest_ping_pause, wait * 3 / 2);
    }
}

// Without the database the broker cannot know where the agent is: then nothing is learnt.
asio::awaitable<bool> VmHandler::tells(Error unanswered) {
    if (says_nothing(unanswered)) co_return false;
    // Whoever looks for orders, each second, knows; a look of its own for each call would be a
    // crowd when many VMs boot.
    co_return !workshop_->database_away;
}

VmEvent VmHandler::event_of_silence(VmEvent otherwise) const {
    return workshop_->limits->keep_for_debugging ? VmEvent::kept_for_debugging : otherwise;
}

// Whether the guest has come as far as its network.
Why VmHandler::why_silent(const std::string& silence, const Error& last) const {
    const std::string because = ": " + silence + " (" + last.sentence() + ")";
    if (workshop_->neighbour(plan_.address) == Neighbour::silent)
        return {"vm.no_network",
                "it did not come up on the network, nobody answers for " + plan_.address + because};
    return {"vm.no_agent", "its agent did not come up" + because};
}

asio::awaitable<void> VmHandler::watch_agent(std::uint64_t generation, bool just_answered) {
    Silence silence(workshop_->schedule.clock(), workshop_->limits->running);
    if (just_answered) co_await pause(workshop_->limits->after_ok);
    if (is_past(generation)) co_return;
    for (;;) {
        const Result<void> answer = co_await ping();
        if (is_past(generation)) co_return;
        co_await note(answer, silence);
        if (is_past(generation)) co_return;
        if (silence.too_long())
            co_return post(
                event_of_silence(VmEvent::agent_lost),
                Why("vm.agent_lost", silence.text() + " (" + answer.error().sentence() + ")"),
                generation);
        const Milliseconds wait =
            answer.ok() ? workshop_->limits->after_ok : workshop_->limits->after_error;
        co_await pause(wait);
        if (is_past(generation)) co_return;
    }
}

asio::awaitable<void> VmHandler::note(const Result<void>& answer, Silence& silence) {
    if (answer.ok()) {
        silence.broken();
        // For operators only; the next answer makes good for a lost write.
        (void)co_await workshop_->store.agent_seen(plan_.vm, plan_.incarnation);
        co_await count_as_sound();
    } else if (std::exchange(stood_still_, away_)) {
        silence.broken();  // it could not answer
    } else {
        const bool counts = co_await tells(answer.error());
        silence.goes_on(counts);
    }
}

// It has run well for long enough that whatever fails next is a new story.
asio::awaitable<void> VmHandler::count_as_sound() {
    const Milliseconds enough = workshop_->limits->retry.sound_after;
    if (attempt_ == 0 || !up_since_ || workshop_->schedule.clock().now() - *up_since_ < enough)
        co_return;
    const auto forgotten = co_await workshop_->store.forget_failures(plan_.vm, plan_.incarnation);
    if (forgotten.ok()) attempt_ = 0;
}

asio::awaitable<void> VmHandler::watch_for_recovery(std::uint64_t generation) {
    for (;;) {
        co_await pause(workshop_->limits->after_error);
        if (is_past(generation)) co_return;
        const Result<void> answer = co_await ping();
        if (is_past(generation)) co_return;
        if (answer.ok()) co_return post(VmEvent::agent_answers, generation);
    }
}

void VmHandler::tell_expiry(std::optional<Timestamp> soft, std::optional<Timestamp> hard) {
    const Clock::time_point now = workshop_->schedule.clock().now();
    const bool same = expiry_told_of_ == soft;
    if (same && expiry_told_ && now - *expiry_told_ < std::chrono::hours(1)) return;
    expiry_told_ = now;
    expiry_told_of_ = soft;
    AgentParameters parameters;
    if (soft) parameters.emplace_back("vm.expiration.soft", utc(*soft));
    if (hard) parameters.emplace_back("vm.expiration.hard", utc(*hard));
    spawn(call_expire(std::move(parameters)));
}

asio::awaitable<void> VmHandler::call_expire(AgentParameters parameters) {
    std::string method = "expire";
    const auto told = co_await call_agent(std::move(method), std::move(parameters));
    if (!told.ok())
        log::info("vm.expiry_not_told", {{"vm", plan_.vm}, {"code", told.error().code()}},
                  told.error().sentence());
}

// ---- the end -------------------------------------------------------------------------------

// The agent first, it can say goodbye to the user; where nobody answers, the hypervisor.
asio::awaitable<void> VmHandler::shut_down(std::uint64_t generation) {
    for (int call = 0; call < workshop_->limits->poweroff_calls; ++call) {
        if (call > 0) co_await pause(workshop_->limits->poweroff_delay);
        if (is_past(generation)) co_return;
        std::string method = "poweroff";
        AgentParameters none;
        const Result<std::string> answer = co_await call_agent(std::move(method), std::move(none));
        if (is_past(generation)) co_return;
        if (answer.ok()) co_return post(VmEvent::poweroff_accepted, generation);
        log::info("vm.poweroff_refused", {{"vm", plan_.vm}, {"code", answer.error().code()}},
                  answer.error().sentence());
        if (answer.error().kind() != ErrorKind::timeout) break;
    }
    const Result<void> asked = co_await stop_by_backend();
    if (asked.ok())
        post(VmEvent::poweroff_accepted, Why("", "asked by the hypervisor"), generation);
    else
        log::warn("vm.not_stopped", {{"vm", plan_.vm}}, asked.error().sentence());
}

asio::awaitable<void> VmHandler::terminate(std::uint64_t generation) {
    const Result<void> asked = co_await stop_by_backend();
    if (!is_past(generation) && !asked.ok())
        log::warn("vm.not_stopped", {{"vm", plan_.vm}}, asked.error().sentence());
}

Async<void> VmHandler::stop_by_backend() {
    const Slots::Slot turn = co_await turn_.take();
    if (ended_) co_return Result<void>{};
    if (is_failing()) co_await keep_last_words();
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    VmPlan plan = plan_;
    co_return co_await workshop_->backend.stop(std::move(plan), deadline);
}

bool VmHandler::is_failing() const {
    return culpable_ && !stop_wanted_ && !(ended_ && ended_cleanly_);
}

// Before its files go, and its file system with it; with its turn held.
asio::awaitable<void> VmHandler::keep_last_words() {
    if (std::exchange(words_kept_, true)) co_return;
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), state_patience);
    VmPlan plan = plan_;
    const auto state = co_await workshop_->backend.state(std::move(plan), deadline);
    const auto kept = workshop_->logs.keep(plan_, state.ok() ? state->pid : 0);
    if (!kept.ok())
        log::warn("vm.logs_not_kept", {{"vm", plan_.vm}, {"code", kept.error().code()}},
                  kept.error().sentence());
}

// Ends what runs and cleans up behind what has ended; afterwards nothing is left, or it is known
// that something is.
asio::awaitable<void> VmHandler::tidy() {
    if (tidying_ || gone_ || disowned_) co_return;
    tidying_ = true;
    Slots::Slot turn = co_await turn_.take();
    if (is_failing()) co_await keep_last_words();
    const Deadline deadline = Deadline::in(workshop_->schedule.clock(), workshop_->limits->launch);
    VmPlan plan = plan_;
    const Result<void> destroyed = co_await workshop_->backend.destroy(std::move(plan), deadline);
    turn.release();
    tidying_ = false;
    if (destroyed.ok()) {
        ended_ = true;
        co_return post_gone();
    }
    log::error("vm.not_destroyed", {{"vm", plan_.vm}, {"stage", to_string(stage_)}},
               destroyed.error().sentence());
    if (stage_ == vm_stage::zombie_2) {
        limit_ = workshop_->schedule.in(workshop_->limits->zombie_2);
        alarm_->ring();
    } else {
        post(VmEvent::remains,
             Why("vm.remains", "it cannot be cleaned up: " + destroyed.error().sentence()), 0);
    }
}

}  // namespace qvd::hkd
