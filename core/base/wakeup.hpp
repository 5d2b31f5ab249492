// Waiting for "something changed, look again" on an event loop, without polling.
#pragma once

#include "base/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <vector>

namespace qvd {

// Coroutines of one event loop wait(); notify() wakes all of them. A waiter checks its condition,
// waits, and checks again: between the check and the wait nothing else runs. A Wakeup must outlive
// its waiters.
class Wakeup {
public:
    // True if notified, false after `limit`.
    boost::asio::awaitable<bool> wait(Milliseconds limit) {
        const auto executor = co_await boost::asio::this_coro::executor;
        boost::asio::steady_timer timer(executor, limit);
        waiters_.push_back(&timer);
        const auto [problem] =
            co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        std::erase(waiters_, &timer);
        co_return problem == boost::asio::error::operation_aborted;
    }

    void notify() {
        for (boost::asio::steady_timer* timer : waiters_) timer->cancel();
    }

    [[nodiscard]] bool awaited() const { return !waiters_.empty(); }

private:
    std::vector<boost::asio::steady_timer*> waiters_;
};

}  // namespace qvd
