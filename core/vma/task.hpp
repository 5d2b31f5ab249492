// Coroutines of the agent: a story that waits for processes and timers reads from top to bottom, in
// one thread and without a library. A Task starts when it is awaited, or when Loop::start() is
// given it.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

namespace qvd::vma {

template <class T>
class Task;

// What the language asks of a promise and an awaiter, it asks of an object.
// NOLINTBEGIN(readability-convert-member-functions-to-static)
namespace detail {

// Hands control back to whoever awaited the task.
struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> ended) const noexcept {
        return ended.promise().waiter ? ended.promise().waiter : std::noop_coroutine();
    }
    void await_resume() const noexcept {}
};

struct PromiseBase {
    std::coroutine_handle<> waiter;
    std::exception_ptr problem;

    [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
    [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { problem = std::current_exception(); }
};

template <class T>
struct Promise : PromiseBase {
    std::optional<T> value;

    Task<T> get_return_object();
    template <class U>
    void return_value(U&& returned) {
        value.emplace(std::forward<U>(returned));
    }
    T take() {
        if (problem) std::rethrow_exception(problem);
        return std::move(*value);
    }
};

template <>
struct Promise<void> : PromiseBase {
    Task<void> get_return_object();
    void return_void() const noexcept {}
    void take() const {
        if (problem) std::rethrow_exception(problem);
    }
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
public:
    using promise_type = detail::Promise<T>;

    explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&&) = delete;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() {
        if (handle_) handle_.destroy();
    }

    [[nodiscard]] bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
        handle_.promise().waiter = waiter;
        return handle_;
    }
    T await_resume() { return handle_.promise().take(); }

private:
    std::coroutine_handle<promise_type> handle_;
};
// NOLINTEND(readability-convert-member-functions-to-static)

namespace detail {

template <class T>
Task<T> Promise<T>::get_return_object() {
    return Task<T>{std::coroutine_handle<Promise>::from_promise(*this)};
}
inline Task<void> Promise<void>::get_return_object() {
    return Task<void>{std::coroutine_handle<Promise>::from_promise(*this)};
}

}  // namespace detail

// A value that arrives once, from a callback of the loop, for one task that waits for it. It must
// outlive both.
template <class T>
class Arrival {
public:
    template <class U>
    void set(U&& value) {
        if (value_) return;
        value_.emplace(std::forward<U>(value));
        if (waiter_) std::exchange(waiter_, {}).resume();
    }

    [[nodiscard]] bool await_ready() const noexcept { return value_.has_value(); }
    void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
    T await_resume() { return std::move(*value_); }

private:
    std::optional<T> value_;
    std::coroutine_handle<> waiter_;
};

}  // namespace qvd::vma
