// Work on files that may take long, beside the event loop: on one thread that gives way to
// everything else on the machine.
#pragma once

#include "base/event_loop.hpp"
#include "hkd/schedule.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace qvd::hkd {

class Aside {
public:
    // Both outlive it.
    Aside(EventLoop& loop, Schedule& schedule);
    // Waits for the work that is under way; what has not begun is dropped.
    ~Aside();
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

    // What `work` gives, which must not throw; one after the other.
    template <class T>
    boost::asio::awaitable<T> run(std::function<T()> work);

private:
    template <class T>
    struct Place {
        std::optional<T> result;
        bool there = false;  // of the event loop
    };
    void post(std::function<void()> work, std::function<void()> then);

    EventLoop& loop_;
    Schedule& schedule_;
    boost::asio::thread_pool thread_;
};

template <class T>
boost::asio::awaitable<T> Aside::run(std::function<T()> work) {
    const auto place = std::make_shared<Place<T>>();
    // The waiter's alone: where he is gone, nobody rings.
    const std::shared_ptr<Alarm> alarm = schedule_.alarm();
    const std::weak_ptr<Alarm> waiter = alarm;
    std::function<void()> task = [place, work = std::move(work)] { place->result.emplace(work()); };
    std::function<void()> then = [place, waiter] {
        place->there = true;
        if (const auto bell = waiter.lock()) bell->ring();
    };
    post(std::move(task), std::move(then));
    while (!place->there) co_await alarm->wait_until(Alarm::never);
    co_return std::move(*place->result);
}

}  // namespace qvd::hkd
