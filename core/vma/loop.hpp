// The agent's event loop: poll(), timers and signals, one thread.
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"
#include "vma/task.hpp"

#include <csignal>
#include <cstdint>
#include <functional>
#include <map>

namespace qvd::vma {

class Loop {
public:
    // Callbacks run inside run(); they may add and remove watches and timers, their own too.
    using Ready = std::function<void(short events)>;
    using Callback = std::function<void()>;
    using Handle = std::uint64_t;  // of a watch or a timer; never used again, 0 is none

    // Takes the signals given for itself: blocks them for this thread and those it makes.
    explicit Loop(std::initializer_list<int> signals = {});
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;
    ~Loop() = default;

    // Calls `ready` with poll()'s revents while `fd` has any of `events` (POLLERR and POLLHUP are
    // always reported). The caller keeps the fd open until remove().
    Handle watch(int fd, short events, Ready ready);
    Handle after(Milliseconds delay, Callback callback);
    // Of a watch or a timer; one that is gone is ignored.
    void remove(Handle handle);
    void on_signal(int number, Callback callback);

    // Runs a task on its own; an exception that leaves it is logged.
    void start(Task<void> task);

    struct Sleep {
        Loop& loop;
        Milliseconds time;
        // NOLINTNEXTLINE(readability-convert-member-functions-to-static): asked of an object
        [[nodiscard]] bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> waiter) const {
            loop.after(time, [waiter] { waiter.resume(); });
        }
        void await_resume() const noexcept {}
    };
    Sleep sleep(Milliseconds time) { return {*this, time}; }

    // Until stop().
    void run();
    // Once: waits at most `patience` for something to happen and handles it.
    void turn(Milliseconds patience);
    void stop() { running_ = false; }

private:
    struct Watch {
        int fd;
        short events;
        Ready ready;
    };
    struct Timer {
        Clock::time_point at;
        Callback callback;
    };

    void fire_timers();
    void take_signals();
    [[nodiscard]] Milliseconds until_next_timer(Milliseconds patience) const;

    SteadyClock clock_;
    UniqueFd signal_fd_;
    std::map<Handle, Watch> watches_;
    std::map<Handle, Timer> timers_;
    std::map<int, Callback> signals_;
    Handle last_handle_ = 0;
    bool running_ = false;
};

}  // namespace qvd::vma
