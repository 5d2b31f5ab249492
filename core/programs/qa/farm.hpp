// The farm as qa reaches it: configuration, database, administration, and a balancer if need be.
#pragma once

#include "admin/administration.hpp"
#include "base/event_loop.hpp"
#include "config/view.hpp"
#include "plugin/host.hpp"
#include "plugin/registry.hpp"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <string>

namespace qvd::qa {

class Farm {
public:
    // Reads the node's file, starts the embedded database if there is one, and connects.
    static Result<std::unique_ptr<Farm>> open(const std::string& config_file);

    [[nodiscard]] admin::Administration& administration() { return *administration_; }
    [[nodiscard]] store::Store& store() { return *store_; }

    // The balancer of l7r.loadbalancer.plugin, made at its first use.
    admin::Async<std::shared_ptr<plugin::Balancer>> balancer();

    // Runs one operation to its end on this thread.
    template <class T>
    Result<T> run(boost::asio::awaitable<Result<T>> operation);

private:
    explicit Farm(config::View view) : view_(std::move(view)) {}
    Result<void> load();

    EventLoop loop_;
    config::View view_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<admin::Administration> administration_;
    std::unique_ptr<plugin::Host> host_;
    std::unique_ptr<plugin::Registry> registry_;
    std::shared_ptr<plugin::Balancer> balancer_;
};

template <class T>
Result<T> Farm::run(boost::asio::awaitable<Result<T>> operation) {
    std::optional<Result<T>> answer;
    std::optional<std::exception_ptr> end;
    boost::asio::co_spawn(
        loop_,
        [](boost::asio::awaitable<Result<T>> asked,
           std::optional<Result<T>>& to) -> boost::asio::awaitable<void> {
            to.emplace(co_await std::move(asked));
        }(std::move(operation), answer),
        [&end](std::exception_ptr problem) { end.emplace(std::move(problem)); });
    loop_.restart();
    // To the very end of the coroutine, not only to its answer: it refers to what is on this stack.
    while (!end.has_value()) loop_.run_one();
    if (*end) std::rethrow_exception(*end);
    return std::move(*answer);
}

}  // namespace qvd::qa
