// Time that a test can turn by hand, and deadlines measured on it.
#pragma once

#include <algorithm>
#include <chrono>

namespace qvd {

using Milliseconds = std::chrono::milliseconds;

// Elapsed time; never jumps. Implementations may be asked from any thread.
class Clock {
public:
    using time_point = std::chrono::steady_clock::time_point;

    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;
    [[nodiscard]] virtual time_point now() const = 0;
};

class SteadyClock final : public Clock {
public:
    [[nodiscard]] time_point now() const override { return std::chrono::steady_clock::now(); }
};

// Stands still until a test moves it on.
class FakeClock final : public Clock {
public:
    [[nodiscard]] time_point now() const override { return now_; }
    void advance(Milliseconds by) { now_ += by; }

private:
    time_point now_{std::chrono::hours(1)};
};

// When something must be done. Copies are cheap; the clock must outlive it.
class Deadline {
public:
    static Deadline in(const Clock& clock, Milliseconds time) {
        return {clock, clock.now() + time};
    }

    // Time left, 0 once it has passed.
    [[nodiscard]] Milliseconds remaining() const {
        return std::max(Milliseconds{0},
                        std::chrono::duration_cast<Milliseconds>(at_ - clock_->now()));
    }
    [[nodiscard]] bool passed() const { return clock_->now() >= at_; }
    [[nodiscard]] Clock::time_point at() const { return at_; }
    // The earlier of this one and `time` from now.
    [[nodiscard]] Deadline at_most(Milliseconds time) const {
        return {*clock_, std::min(at_, clock_->now() + time)};
    }

private:
    Deadline(const Clock& clock, Clock::time_point at) : clock_(&clock), at_(at) {}

    const Clock* clock_;
    Clock::time_point at_;
};

}  // namespace qvd
