// What the behavioural suite runs against: bench_memory.cpp or bench_postgres.cpp, by executable.
#pragma once

#include "await.hpp"

#include <doctest/doctest.h>

#include <optional>

namespace qvd::store::test {

class Bench {
public:
    // An empty store.
    Bench();
    ~Bench();
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    [[nodiscard]] Store& store() { return *store_; }
    boost::asio::io_context& loop() { return loop_; }

    // Runs the event loop until the call has its answer.
    template <class T>
    Result<T> run(Async<T> call) {
        std::optional<Result<T>> answer;
        begin(loop_, std::move(call), answer);
        turn_until([&] { return answer.has_value(); });
        return std::move(*answer);
    }
    // The value of a call that must work.
    template <class T>
    T must(Async<T> call) {
        Result<T> answer = run(std::move(call));
        if (!answer.ok()) FAIL(answer.error().code() << ": " << answer.error().sentence());
        return std::move(answer).value();
    }
    void must(Async<void> call) {
        const Result<void> answer = run(std::move(call));
        if (!answer.ok()) FAIL(answer.error().code() << ": " << answer.error().sentence());
    }
    // The code of a call that must not.
    template <class T>
    std::string refusal(Async<T> call) {
        const Result<T> answer = run(std::move(call));
        return answer.ok() ? "it worked" : answer.error().code();
    }
    // Both at once; their answers.
    template <class T>
    std::pair<Result<T>, Result<T>> race(Async<T> one, Async<T> other) {
        std::optional<Result<T>> first;
        std::optional<Result<T>> second;
        begin(loop_, std::move(one), first);
        begin(loop_, std::move(other), second);
        turn_until([&] { return first && second; });
        return {std::move(*first), std::move(*second)};
    }
    // Runs the event loop until that is so; fails after a minute.
    template <class Condition>
    void turn_until(Condition condition) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        loop_.restart();
        while (!condition()) {
            loop_.run_one_for(std::chrono::milliseconds(100));
            if (loop_.stopped()) loop_.restart();
            if (std::chrono::steady_clock::now() > limit) FAIL("nothing happened for a minute");
        }
    }

    // A farm to start from: one user, osf, image, running node of 1024 MiB, one vm of 256 MiB.
    struct Farm {
        UserId user;
        OsfId osf;
        Di di;
        NodeId node;
        std::int64_t epoch = 0;
        VmId vm;
    };
    Farm farm();
    VmId add_vm(const Farm& farm, const std::string& name);
    NodeId add_running_node(const std::string& name, const std::string& address, double mib);
    // Every node's last report is a minute older than it was.
    void age_reports();
    // A report of a node with this much memory.
    void report(NodeId node, std::int64_t epoch, double mib);
    // Orders, takes and finishes a start.
    StartOrder start(VmId vm, NodeId node);
    VmRecord vm(VmId vm);
    NewSession session_of(const Farm& farm, const std::string& worker);

private:
    boost::asio::io_context loop_;
    std::chrono::seconds ahead_{0};  // of the real time; the clock of a store that has its own
    std::unique_ptr<Store> store_;
};

}  // namespace qvd::store::test
