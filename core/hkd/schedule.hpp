// Waiting that a test can turn by hand: hkd asks for time only here.
#pragma once

#include "base/clock.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <memory>

namespace qvd::hkd {

// A place where one coroutine at a time waits. It looks at its condition, waits, looks again;
// between the look and the wait nothing else runs. Must outlive its waiter.
class Alarm {
public:
    Alarm() = default;
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;
    virtual ~Alarm() = default;

    static constexpr Clock::time_point never = Clock::time_point::max();

    // Returns at `at` or when it is rung, whichever is first.
    virtual boost::asio::awaitable<void> wait_until(Clock::time_point at) = 0;
    // Wakes the waiter, if there is one.
    virtual void ring() = 0;
};

class Schedule {
public:
    Schedule() = default;
    Schedule(const Schedule&) = delete;
    Schedule& operator=(const Schedule&) = delete;
    virtual ~Schedule() = default;

    [[nodiscard]] virtual const Clock& clock() const = 0;
    [[nodiscard]] virtual std::unique_ptr<Alarm> alarm() = 0;

    [[nodiscard]] Clock::time_point in(Milliseconds time) const { return clock().now() + time; }
    boost::asio::awaitable<void> sleep(Milliseconds time);
};

// Real time on an event loop.
class LoopSchedule final : public Schedule {
public:
    explicit LoopSchedule(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
    [[nodiscard]] const Clock& clock() const override { return clock_; }
    [[nodiscard]] std::unique_ptr<Alarm> alarm() override;

private:
    boost::asio::any_io_executor executor_;
    SteadyClock clock_;
};

}  // namespace qvd::hkd
