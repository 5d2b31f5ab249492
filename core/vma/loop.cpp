#include "vma/loop.hpp"

#include "base/log.hpp"

#include <poll.h>
#include <sys/signalfd.h>

#include <stdexcept>
#include <vector>

namespace qvd::vma {

namespace {

// A coroutine that nobody awaits: its frame goes away by itself at the end.
// NOLINTBEGIN(readability-convert-member-functions-to-static): the language asks an object
struct Detached {
    struct promise_type {  // NOLINT(readability-identifier-naming): the language asks for the name
        [[nodiscard]] Detached get_return_object() const noexcept { return {}; }
        [[nodiscard]] std::suspend_never initial_suspend() const noexcept { return {}; }
        [[nodiscard]] std::suspend_never final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };
};
// NOLINTEND(readability-convert-member-functions-to-static)

Detached run_detached(Task<void> task) {
    try {
        co_await std::move(task);
    } catch (const std::exception& problem) {
        log::error("vma.task.failed", {}, problem.what());
    }
}

}  // namespace

Loop::Loop(std::initializer_list<int> signals) {
    if (signals.size() == 0) return;
    sigset_t set;
    sigemptyset(&set);
    for (const int number : signals) sigaddset(&set, number);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    signal_fd_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signal_fd_) throw std::runtime_error("the kernel gives no signalfd");
    watch(signal_fd_.get(), POLLIN, [this](short) { take_signals(); });
}

Loop::Handle Loop::watch(int fd, short events, Ready ready) {
    watches_.emplace(++last_handle_, Watch{fd, events, std::move(ready)});
    return last_handle_;
}

Loop::Handle Loop::after(Milliseconds delay, Callback callback) {
    timers_.emplace(++last_handle_, Timer{clock_.now() + delay, std::move(callback)});
    return last_handle_;
}

void Loop::remove(Handle handle) {
    watches_.erase(handle);
    timers_.erase(handle);
}

void Loop::on_signal(int number, Callback callback) {
    signals_[number] = std::move(callback);
}

// NOLINTNEXTLINE(readability-convert-member-functions-to-static): it waits for what this loop has
void Loop::start(Task<void> task) {
    run_detached(std::move(task));
}

void Loop::run() {
    running_ = true;
    while (running_) turn(std::chrono::hours(1));
}

void Loop::turn(Milliseconds patience) {
    std::vector<pollfd> polled;
    std::vector<Handle> handles;
    for (const auto& [handle, watch] : watches_) {
        polled.push_back({watch.fd, watch.events, 0});
        handles.push_back(handle);
    }
    const auto time = static_cast<int>(until_next_timer(patience).count());
    const int ready = ::poll(polled.data(), polled.size(), time);
    for (std::size_t i = 0; ready > 0 && i < polled.size(); ++i) {
        if (polled[i].revents == 0) continue;
        // An earlier callback of this round may have removed it.
        const auto found = watches_.find(handles[i]);
        if (found == watches_.end()) continue;
        const Ready callback = found->second.ready;
        callback(polled[i].revents);
    }
    fire_timers();
}

Milliseconds Loop::until_next_timer(Milliseconds patience) const {
    const Clock::time_point now = clock_.now();
    for (const auto& [handle, timer] : timers_) {
        // Rounded up: a millisecond too early would be a busy loop.
        const auto left = std::chrono::ceil<Milliseconds>(timer.at - now);
        patience = std::min(patience, std::max(left, Milliseconds{0}));
    }
    return patience;
}

void Loop::fire_timers() {
    const Clock::time_point now = clock_.now();
    std::vector<Handle> due;
    for (const auto& [handle, timer] : timers_)
        if (timer.at <= now) due.push_back(handle);
    for (const Handle handle : due) {
        const auto found = timers_.find(handle);
        if (found == timers_.end()) continue;
        const Callback callback = std::move(found->second.callback);
        timers_.erase(found);
        callback();
    }
}

void Loop::take_signals() {
    signalfd_siginfo taken{};
    while (::read(signal_fd_.get(), &taken, sizeof taken) == sizeof taken) {
        const auto found = signals_.find(static_cast<int>(taken.ssi_signo));
        if (found != signals_.end()) found->second();
    }
}

}  // namespace qvd::vma
