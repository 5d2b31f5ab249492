#include "l7r/loop.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace qvd::l7r {

Loop::Loop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (!epoll_) throw std::runtime_error("the kernel gives no epoll descriptor");
}

void Loop::turn() {
    std::array<epoll_event, 128> events{};
    const int count =
        ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
    if (count < 0 && errno != EINTR) throw std::runtime_error("epoll_wait failed");
    for (int i = 0; i < count; ++i) {
        const epoll_event& event = events.at(static_cast<std::size_t>(i));
        auto* const watch = static_cast<Watch*>(event.data.ptr);
        // An earlier event of this turn may have ended this one's interest.
        if (watch->fd_ >= 0) watch->on_ready_(event.events);
    }
    run_timers();
    run_deferred();
}

int Loop::wait_ms() const {
    if (!deferred_.empty()) return 0;
    if (timers_.empty()) return -1;
    const auto left = timers_.begin()->first - clock_.now();
    if (left <= Clock::time_point::duration::zero()) return 0;
    // Rounded up: waking too early would only mean waiting again.
    return static_cast<int>(
        std::min<std::int64_t>(std::chrono::ceil<Milliseconds>(left).count(), 60'000));
}

void Loop::run_timers() {
    const Clock::time_point now = clock_.now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        Timer* const timer = timers_.begin()->second;
        timer->stop();
        timer->on_time_();
    }
}

void Loop::defer(std::function<void()> action) {
    deferred_.push_back(std::move(action));
}

void Loop::run_deferred() {
    const auto actions = std::exchange(deferred_, {});
    for (const auto& action : actions) action();
}

bool Watch::watch(int fd, std::uint32_t events) {
    if (fd_ != fd) forget();
    if (fd_ == fd && events_ == events) return true;
    if (events == 0) {
        forget();
        return true;
    }
    epoll_event event{};
    event.events = events;
    event.data.ptr = this;
    const int operation = fd_ < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (::epoll_ctl(loop_.epoll_.get(), operation, fd, &event) != 0) return false;
    fd_ = fd;
    events_ = events;
    return true;
}

void Watch::forget() {
    if (fd_ < 0) return;
    // Fails only where the descriptor was closed before, which ended the watch as well.
    ::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
    fd_ = -1;
    events_ = 0;
}

void Timer::start(Milliseconds from_now) {
    stop();
    place_ = loop_.timers_.emplace(loop_.now() + from_now, this);
    running_ = true;
}

void Timer::stop() {
    if (!running_) return;
    loop_.timers_.erase(place_);
    running_ = false;
}

}  // namespace qvd::l7r
