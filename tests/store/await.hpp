// A call of a store, run to its end on an event loop.
#pragma once

#include "store/store.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>

namespace qvd::store::test {

template <class T>
boost::asio::awaitable<void> keep_answer(Async<T> call, std::optional<Result<T>>& answer) {
    Result<T> got = co_await std::move(call);
    answer.emplace(std::move(got));
}

// Starts it; `answer` must live until it has one.
template <class T>
void begin(boost::asio::io_context& loop, Async<T> call, std::optional<Result<T>>& answer) {
    boost::asio::co_spawn(loop, keep_answer(std::move(call), answer), boost::asio::detached);
}

template <class T>
Result<T> run_on(boost::asio::io_context& loop, Async<T> call) {
    std::optional<Result<T>> answer;
    begin(loop, std::move(call), answer);
    loop.restart();
    while (!answer) loop.run_one();
    return std::move(*answer);
}

// Its code, or "ok".
template <class T>
std::string code_on(boost::asio::io_context& loop, Async<T> call) {
    const Result<T> answer = run_on(loop, std::move(call));
    return answer.ok() ? "ok" : answer.error().code();
}

}  // namespace qvd::store::test
