// The desktop session: starts it, follows it, wakes it, ends it.
#pragma once

#include "vma/output_tail.hpp"
#include "vma/provisioning.hpp"
#include "vma/session_record.hpp"
#include "vma/watched_process.hpp"
#include "vma/x_life.hpp"

#include <coroutine>
#include <map>

namespace qvd::vma {

class Session {
public:
    // All must outlive it, and it the loop's last turn.
    Session(Loop& loop, Processes& processes, Hooks& hooks, const Settings& settings);

    // Goes on with the session of an agent that was here before, if it still runs.
    void adopt();

    [[nodiscard]] agent::XState state() const { return shown_as(record_.phase); }
    // Whether there is a desktop to look at, and whose it is.
    [[nodiscard]] bool has_display() const {
        return phase() == Phase::connected || phase() == Phase::suspended ||
               phase() == Phase::offered_again;
    }
    [[nodiscard]] const std::string& user() const { return record_.user_name; }
    // Awaited, it lasts until the state is another than `unless`, at most `limit`.
    struct Change {
        Session& session;
        agent::XState unless;
        Milliseconds limit;
        [[nodiscard]] bool await_ready() const { return session.state() != unless; }
        void await_suspend(std::coroutine_handle<> waiter) const {
            session.await_change(waiter, limit);
        }
        void await_resume() const noexcept {}
    };
    Change change_from(agent::XState unless, Milliseconds limit) { return {*this, unless, limit}; }
    // Why the last session ended or did not start, if it did not end as it should.
    [[nodiscard]] const std::optional<std::string>& reason() const { return reason_; }

    // What the calls of the same names answer. Errors besides hooks' and parameters':
    // agent.session_busy, vma.session.state.
    Task<Result<std::string>> start(agent::Parameters session);
    Task<Result<std::string>> suspend();
    Task<Result<std::string>> stop();

private:
    // The story of a new session, after the call has been answered.
    Task<void> launch(agent::Parameters session, std::string options);
    Task<Result<void>> launch_steps(agent::Parameters session, std::string options);
    // The rest of a resume, before the call is answered.
    Task<Result<std::string>> wake(agent::Parameters session, std::string options);

    void take_back_offer();
    // The action of a suspension that nobody called x_suspend for.
    void announce_suspension();
    // Tells the hooks whose session they will hear of.
    void introduce(const agent::Parameters& session, const WantedUser& user);

    // Goes where the table says; false if it says nothing.
    bool apply(Event event);
    void entered(Phase from);
    void await_change(std::coroutine_handle<> waiter, Milliseconds limit);
    void tell_waiters();
    void set_limit();
    // The second half of adopt(): the processes are there.
    void go_on();
    void time_is_up();
    void save();

    void take_line(std::string_view line);
    void take_pid(pid_t pid);
    void agent_gone();
    void leader_gone();
    void settle_end();

    Task<void> watch_port();
    Task<void> nudge();
    Task<void> insist();
    void end_by_force() const;
    // Ends the wait of a resumed agent for a client, which no signal does.
    void withdraw() const;
    // Makes the agent's loop turn, so that it sees a signal.
    void poke() const;

    void fail(const Error& error);
    Result<void> save_slave_key(const agent::Parameters& session, const Account& account) const;
    [[nodiscard]] std::string log_path() const { return settings_.log_folder + "/qvd-nxagent.log"; }
    [[nodiscard]] Phase phase() const { return record_.phase; }

    Loop& loop_;
    Processes& processes_;
    Hooks& hooks_;
    const Settings& settings_;
    Provisioning provisioning_;
    OutputTail output_;
    WatchedProcess leader_;
    WatchedProcess agent_;
    SessionRecord record_;
    std::optional<std::string> reason_;
    std::string last_complaint_;  // the last line that looks like an error, until a client came
    Loop::Handle limit_ = 0;
    std::map<Loop::Handle, std::coroutine_handle<>> waiters_;  // by the timer that ends the wait
    bool watching_port_ = false;
    bool suspend_hook_ran_ = false;  // by x_suspend, for the suspension to come
    bool seen_waiting_ = false;      // "Resuming" since the last HUP
    bool seen_ending_ = false;
};

}  // namespace qvd::vma
