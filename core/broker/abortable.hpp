// Work that a login waits for, but no longer than its client does.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace qvd::broker {

template <class T>
struct WorkOutcome {
    std::optional<Result<T>> value;
    std::exception_ptr broken;
};

template <class T>
boost::asio::awaitable<void> work_into(std::shared_ptr<WorkOutcome<T>> outcome,
                                       std::shared_ptr<Conversation> client, Async<T> work) {
    try {
        Result<T> value = co_await std::move(work);
        outcome->value.emplace(std::move(value));
    } catch (...) {
        outcome->broken = std::current_exception();
    }
    client->wake();
}

// What `work` comes to, or the interruption if that is first. Then the work runs on to its own end,
// which nobody hears of: it must own, or outlive with the context, all that it touches. (It is not
// cancelled: a plugin or an agent that was asked has begun to do it, and has a limit of its own.)
template <class T>
Async<T> abortable(std::shared_ptr<Conversation> client, Async<T> work) {
    const auto executor = co_await boost::asio::this_coro::executor;
    const auto outcome = std::make_shared<WorkOutcome<T>>();
    boost::asio::co_spawn(executor, work_into<T>(outcome, client, std::move(work)),
                          boost::asio::detached);
    while (!outcome->value && !outcome->broken) {
        const Result<void> paused = co_await client->pause(Conversation::long_wait);
        if (!paused.ok() && !outcome->value && !outcome->broken) co_return paused.error();
    }
    if (outcome->broken) std::rethrow_exception(outcome->broken);
    co_return std::move(*outcome->value);
}

}  // namespace qvd::broker
