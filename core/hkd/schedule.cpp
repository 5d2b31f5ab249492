#include "hkd/schedule.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

class TimerAlarm final : public Alarm {
public:
    explicit TimerAlarm(const asio::any_io_executor& executor) : timer_(executor) {}

    asio::awaitable<void> wait_until(Clock::time_point at) override {
        timer_.expires_at(at);
        // Rung and run out are the same to the waiter: it looks at its condition.
        (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    void ring() override { timer_.cancel(); }

private:
    asio::steady_timer timer_;
};

}  // namespace

asio::awaitable<void> Schedule::sleep(Milliseconds time) {
    const auto waiting = alarm();
    co_await waiting->wait_until(in(time));
}

std::unique_ptr<Alarm> LoopSchedule::alarm() {
    return std::make_unique<TimerAlarm>(executor_);
}

}  // namespace qvd::hkd
