#include "vma/session.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "vma/launch.hpp"
#include "vma/nx_options.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

namespace qvd::vma {

namespace {

Error wrong_state(agent::XState state) {
    return {ErrorKind::conflict, "vma.session.state",
            std::string(agent::passing_sentence) + std::string(agent::to_string(state)) +
                ", try again in a few minutes"};
}

Error stopped_meanwhile() {
    return {ErrorKind::cancelled, "vma.session.state",
            "the session was stopped before it had started"};
}

}  // namespace

Session::Session(Loop& loop, Processes& processes, Hooks& hooks, const Settings& settings)
    : loop_(loop),
      processes_(processes),
      hooks_(hooks),
      settings_(settings),
      provisioning_(processes, hooks, settings),
      output_(loop, [this](std::string_view line) { take_line(line); }),
      leader_(loop),
      agent_(loop) {
}

Task<Result<std::string>> Session::start(agent::Parameters session) {
    if (phase() == Phase::connected) {
        agent_.send(SIGHUP);
        co_return Error{ErrorKind::conflict, "agent.session_busy",
                        std::string(agent::busy_sentence)};
    }
    if (phase() == Phase::offered || phase() == Phase::offered_again) {
        const Error passing = wrong_state(state());
        take_back_offer();
        co_return passing;
    }
    if (phase() != Phase::stopped && phase() != Phase::suspended) co_return wrong_state(state());
    const bool resumes = phase() == Phase::suspended;
    // Whatever can be wrong with the parameters is said before anything has happened.
    QVD_CO_TRY(std::string options, nx_options(session, settings_));
    QVD_CO_TRY(const WantedUser user, wanted_user(session, settings_));
    reason_.reset();
    introduce(session, user);
    apply(Event::start_ordered);
    const Phase preparing = phase();
    auto hook = hooks_.run(hook::pre_connect, session, state());
    const Result<bool> content = co_await std::move(hook);
    if (phase() != preparing) {
        settle_end();
        co_return stopped_meanwhile();
    }
    if (!content.ok()) {
        fail(content.error());
        co_return content.error();
    }
    if (resumes) {
        auto waking = wake(std::move(session), std::move(options));
        co_return co_await std::move(waking);
    }
    log::info("vma.session.start", {{"user", user.name}}, "");
    apply(Event::prepared);
    loop_.start(launch(std::move(session), std::move(options)));
    co_return std::string(agent::to_string(agent::XState::starting));
}

Task<void> Session::launch(agent::Parameters session, std::string options) {
    auto steps = launch_steps(std::move(session), std::move(options));
    const Result<void> done = co_await std::move(steps);
    if (phase() != Phase::provisioning && phase() != Phase::launching)
        settle_end();
    else if (!done.ok())
        fail(done.error());
}

Task<Result<void>> Session::launch_steps(agent::Parameters session, std::string options) {
    auto provisioning = provisioning_.ensure(session);
    QVD_CO_TRY(const Account account, co_await std::move(provisioning));
    if (phase() != Phase::provisioning) co_return stopped_meanwhile();
    auto hook = hooks_.run(hook::connect, session, state());
    QVD_CO_TRY([[maybe_unused]] const bool ran, co_await std::move(hook));
    if (phase() != Phase::provisioning) co_return stopped_meanwhile();
    QVD_CO_CHECK(save_slave_key(session, account));
    QVD_CO_CHECK(file::write_atomic(settings_.nxagent_config, options, 0644));
    QVD_CO_CHECK(clear_display(settings_.display));
    QVD_CO_TRY(const off_t offset, OutputTail::prepare(log_path()));
    const Command command = session_command(account, session, settings_, log_path());
    QVD_CO_TRY(const pid_t leader, processes_.start(command));
    record_ = SessionRecord{record_.phase, leader,       0,          0,    0, account.uid, offset,
                            account.name,  account.home, record_.vm, false};
    hooks_.set_subject(record_.vm, account.name, account.home);
    last_complaint_.clear();
    seen_ending_ = seen_waiting_ = false;
    processes_.on_exit(leader, [](int) {});
    QVD_CO_CHECK(leader_.watch(leader, 0, [this] { leader_gone(); }));
    record_.leader_started = leader_.started();
    apply(Event::launched);
    co_return output_.follow(log_path(), offset);
}

Task<Result<std::string>> Session::wake(agent::Parameters session, std::string options) {
    auto hook = hooks_.run(hook::connect, session, state());
    const Result<bool> content = co_await std::move(hook);
    if (phase() != Phase::waking) co_return stopped_meanwhile();
    const Account owner{record_.user_name, record_.user_home, "", record_.uid, 0, {}};
    Result<void> ready = content.ok() ? Result<void>{} : Result<void>{content.error()};
    if (ready.ok()) ready = save_slave_key(session, owner);
    if (ready.ok()) ready = file::write_atomic(settings_.nxagent_config, options, 0644);
    if (!ready.ok()) {
        fail(ready.error());
        co_return ready.error();
    }
    log::info("vma.session.resume", {{"user", record_.user_name}}, "");
    apply(Event::prepared);
    co_return std::string(agent::to_string(agent::XState::starting));
}

Task<Result<std::string>> Session::suspend() {
    if (state() != agent::XState::listening && state() != agent::XState::connected)
        co_return std::string(agent::to_string(state()));
    agent::Parameters parameters;
    suspend_hook_ran_ = true;
    auto hook = hooks_.run(hook::suspend, parameters, state());
    const Result<bool> content = co_await std::move(hook);
    suspend_hook_ran_ = content.ok() && (phase() == Phase::offered_again ||
                                         phase() == Phase::offered || phase() == Phase::connected);
    if (!content.ok()) co_return content.error();
    if (phase() == Phase::offered_again)
        withdraw();
    else if (phase() == Phase::offered || phase() == Phase::connected)
        agent_.send(SIGHUP);
    // Upstream's answer; callers only look whether it is an error.
    co_return std::string(agent::to_string(agent::XState::starting));
}

Task<Result<std::string>> Session::stop() {
    if (phase() == Phase::stopped || phase() == Phase::stopping)
        co_return std::string(agent::to_string(state()));
    agent::Parameters parameters;
    auto hook = hooks_.run(hook::stop, parameters, state());
    QVD_CO_TRY([[maybe_unused]] const bool ran, co_await std::move(hook));
    log::info("vma.session.stop", {{"user", record_.user_name}}, "");
    apply(Event::stop_ordered);
    co_return std::string(agent::to_string(state()));
}

// Its client has gone before it came: whoever asks now must not wait until the offer runs out. What
// nxagent was told of the client is read only once, so the offer cannot be changed.
void Session::take_back_offer() {
    log::info("vma.session.offer_taken_back", {{"user", record_.user_name}},
              "another client asks for a session that waits for its own");
    if (phase() == Phase::offered_again)
        withdraw();
    else
        apply(Event::stop_ordered);
}

void Session::introduce(const agent::Parameters& session, const WantedUser& user) {
    const auto vm = session.find("qvd.vm.id");
    const auto number = vm == session.end() ? std::nullopt : text::to_integer(vm->second);
    record_.vm = static_cast<std::uint64_t>(std::max<std::int64_t>(number.value_or(0), 0));
    // A session goes on as the user whose it is.
    if (phase() == Phase::suspended)
        hooks_.set_subject(record_.vm, record_.user_name, record_.user_home);
    else
        hooks_.set_subject(record_.vm, user.name, user.home);
}

void Session::announce_suspension() {
    if (!std::exchange(suspend_hook_ran_, false)) hooks_.announce(hook::suspend, state());
}

// NOLINTNEXTLINE(misc-no-recursion): from phase to phase, as far as x_life has lines
bool Session::apply(Event event) {
    const auto next = next_phase(phase(), event);
    if (!next) return false;
    const Phase from = std::exchange(record_.phase, *next);
    log::debug("vma.session.phase", {{"from", to_string(from)}, {"to", to_string(*next)}},
               to_string(event));
    entered(from);
    return true;
}

void Session::await_change(std::coroutine_handle<> waiter, Milliseconds limit) {
    // The callback needs its own handle, which after() has yet to give.
    const auto timer = std::make_shared<Loop::Handle>(0);
    *timer = loop_.after(limit, [this, timer, waiter] {
        waiters_.erase(*timer);
        waiter.resume();
    });
    waiters_.emplace(*timer, waiter);
}

// Whoever waits goes on in the loop's next turn, not in the middle of what goes on here.
void Session::tell_waiters() {
    for (const auto& [timer, waiter] : std::exchange(waiters_, {})) {
        loop_.remove(timer);
        loop_.after(Milliseconds{0}, [waiter = waiter] { waiter.resume(); });
    }
}

// NOLINTNEXTLINE(misc-no-recursion): as above
void Session::entered(Phase from) {
    set_limit();
    save();
    tell_waiters();
    switch (phase()) {
        case Phase::connected:
            record_.was_connected = true;
            suspend_hook_ran_ = false;
            hooks_.announce(hook::connected, state());
            break;
        case Phase::suspending:
            announce_suspension();
            break;
        case Phase::suspended:
            if (from == Phase::connected || from == Phase::offered_again) announce_suspension();
            if (from != Phase::waking) hooks_.announce(hook::suspended, state());
            break;
        case Phase::resuming:
            loop_.start(nudge());
            loop_.start(watch_port());
            break;
        case Phase::stopping:
            if (has_agent(from)) loop_.start(insist());
            break;
        case Phase::stopped:
            output_.close();
            suspend_hook_ran_ = false;
            if (has_agent(from)) hooks_.announce(hook::stopped, state());
            break;
        default:
            break;
    }
    if (phase() == Phase::connected || phase() == Phase::suspended || phase() == Phase::stopped)
        log::info("vma.session." + std::string(to_string(phase())), {{"user", record_.user_name}},
                  "");
}

void Session::set_limit() {
    loop_.remove(std::exchange(limit_, 0));
    Milliseconds limit{0};
    switch (phase()) {
        case Phase::launching:
        case Phase::resuming:
            limit = settings_.limit_starting;
            break;
        case Phase::offered:
        case Phase::offered_again:
            limit = settings_.limit_listening;
            break;
        case Phase::suspending:
            limit = settings_.limit_suspending;
            break;
        case Phase::stopping:
            limit = settings_.limit_stopping;
            break;
        default:
            return;  // hooks have limits of their own; the rest may last
    }
    limit_ = loop_.after(limit, [this] { time_is_up(); });
}

void Session::time_is_up() {
    log::warn("vma.session.timeout", {{"phase", to_string(phase())}, {"user", record_.user_name}},
              "the session has been too long in this phase");
    if (phase() == Phase::offered_again) {
        withdraw();
        set_limit();
    } else if (phase() == Phase::stopping) {
        end_by_force();
        set_limit();
    } else {
        if (phase() != Phase::resuming)
            reason_ = "the session was too long " + std::string(to_string(phase())) +
                      (last_complaint_.empty() ? "" : ": " + last_complaint_);
        else
            reason_ = "nxagent did not resume the session in time";
        apply(Event::time_is_up);
    }
}

void Session::save() {
    record_.log_offset = output_.offset() == 0 ? record_.log_offset : output_.offset();
    const Result<void> saved = save_record(record_, settings_);
    if (!saved.ok())
        log::error("vma.session.record", {{"code", saved.error().code()}},
                   saved.error().sentence());
}

void Session::fail(const Error& error) {
    reason_ = error.sentence();
    log::error("vma.session.failed", {{"code", error.code()}, {"phase", to_string(phase())}},
               error.sentence());
    // A session whose processes run already is ended in the orderly way.
    if (!apply(Event::refused)) apply(Event::stop_ordered);
}

Result<void> Session::save_slave_key(const agent::Parameters& session,
                                     const Account& account) const {
    const auto key = session.find("qvd.slave.key");
    if (!settings_.slave || key == session.end()) return {};
    QVD_CHECK(file::write_atomic(settings_.slave_config, key->second, 0600));
    // The slave server runs as the user; nobody else has any business with it.
    if (::chown(settings_.slave_config.c_str(), account.uid, static_cast<gid_t>(-1)) != 0)
        return errno_error("vma.slave", "cannot give " + settings_.slave_config + " to the user");
    return {};
}

}  // namespace qvd::vma
