// A worker's event loop: descriptors, timers, and what is left for the end of a turn. One thread.
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <vector>

namespace qvd::l7r {

class Watch;
class Timer;

class Loop {
public:
    Loop();

    // Waits for the next event or timer, and handles what there is.
    void turn();
    // Called after the events of this turn; what it adds itself is called in the next, at once.
    void defer(std::function<void()> action);

    [[nodiscard]] Clock::time_point now() const { return clock_.now(); }

private:
    friend class Watch;
    friend class Timer;
    using Timers = std::multimap<Clock::time_point, Timer*>;

    [[nodiscard]] int wait_ms() const;
    void run_timers();
    void run_deferred();

    SteadyClock clock_;
    UniqueFd epoll_;
    Timers timers_;
    std::vector<std::function<void()>> deferred_;
};

// Watches one descriptor at a time. Must live until the end of the turn in which it is used.
class Watch {
public:
    Watch(Loop& loop, std::function<void(std::uint32_t events)> on_ready)
        : loop_(loop), on_ready_(std::move(on_ready)) {}
    ~Watch() { forget(); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    // epoll events; 0 does not watch, not even for errors. False if the kernel has no memory or no
    // place left for it: what it was to watch for must end, or try again.
    [[nodiscard]] bool watch(int fd, std::uint32_t events);
    // To be called before the descriptor is closed.
    void forget();

private:
    friend class Loop;

    Loop& loop_;
    std::function<void(std::uint32_t)> on_ready_;
    int fd_ = -1;
    std::uint32_t events_ = 0;
};

// Calls once, some time from now.
class Timer {
public:
    Timer(Loop& loop, std::function<void()> on_time) : loop_(loop), on_time_(std::move(on_time)) {}
    ~Timer() { stop(); }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void start(Milliseconds from_now);  // anew, if it runs
    void stop();
    [[nodiscard]] bool running() const noexcept { return running_; }

private:
    friend class Loop;

    Loop& loop_;
    std::function<void()> on_time_;
    bool running_ = false;
    Loop::Timers::iterator place_;
};

}  // namespace qvd::l7r
