// A role's plugin room for tests: an event loop that the test turns, a store in memory, and
// puppets.
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "config/keys.hpp"
#include "plugin/host.hpp"
#include "plugin/instance.hpp"
#include "plugin/keys.hpp"
#include "plugin/processes.hpp"
#include "plugin/registry.hpp"
#include "store/memory_store.hpp"
#include "tests/plugin/puppet.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <doctest/doctest.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace qvd::testing {

namespace asio = boost::asio;

// How long a test waits for what must happen; that it is long makes no passing test slower.
inline constexpr Milliseconds patience{20'000};

inline config::View view_of(const std::string& text, const Stage& stage) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    plugin::declare(*keys);
    const std::string file = "path.plugins = " PUPPETS "\npuppet.stage = " +
                             std::to_string(reinterpret_cast<std::uintptr_t>(&stage)) + "\n" + text;
    return {keys, config::Properties::parse(file, "test.conf").value()};
}

// Something that another thread does and the test awaits.
class Signal {
public:
    void set() {
        const std::scoped_lock lock(mutex_);
        set_ = true;
        changed_.notify_all();
    }
    [[nodiscard]] bool wait(Milliseconds limit = patience) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [this] { return set_; });
    }
    [[nodiscard]] bool is_set() const {
        const std::scoped_lock lock(mutex_);
        return set_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool set_ = false;
};

class Room {
public:
    using OpenStore = std::function<std::unique_ptr<store::Store>(asio::io_context&)>;

    // `open`: another store for the services than the one in memory; it may give none.
    explicit Room(const std::string& configuration = "", const OpenStore& open = {})
        : store(loop.get_executor()),
          other_store(open ? open(loop) : nullptr),
          host(loop, view_of(configuration, stage), other_store ? other_store.get() : &store, 4),
          registry(host) {}

    EventLoop loop;
    Stage stage;
    store::MemoryStore store;
    std::unique_ptr<store::Store> other_store;
    plugin::Host host;
    plugin::Registry registry;

    // An instance called `name` that does what `puppet` says; each `file` is another threading.
    std::shared_ptr<plugin::Instance> make(const char* interface, Puppet& puppet,
                                           const std::string& name = "one",
                                           const std::string& file = "puppet") {
        stage[name] = &puppet;
        const auto library = registry.open(file).value();
        const auto* const table = plugin::find_interface(library->plugin(), interface);
        REQUIRE(table != nullptr);
        auto lane = std::make_shared<plugin::Lane>(host.workers(), table->threading);
        return plugin::Instance::make(host, library, interface, name, std::move(lane)).value();
    }

    // Turns the loop until the operation is done.
    template <class T>
    T run(asio::awaitable<T> operation) {
        std::optional<T> result;
        std::exception_ptr broken;
        bool done = false;
        asio::co_spawn(
            loop,
            [](asio::awaitable<T> work, std::optional<T>& into) -> asio::awaitable<void> {
                into.emplace(co_await std::move(work));
            }(std::move(operation), result),
            [&](std::exception_ptr problem) {
                broken = std::move(problem);
                done = true;
            });
        turn_until([&] { return done; });
        if (broken) std::rethrow_exception(broken);
        return std::move(*result);
    }

    template <class Condition>
    void turn_until(Condition reached) {
        const auto end = std::chrono::steady_clock::now() + patience;
        const auto work = asio::make_work_guard(loop);
        loop.restart();
        while (!reached() && std::chrono::steady_clock::now() < end)
            loop.run_one_for(Milliseconds{20});
        REQUIRE(reached());
    }

    // A call of `function` on this instance, as a [worker] function.
    plugin::Outcome call(plugin::Instance& instance, plugin::Call::Function function,
                         plugin::CallOptions options = {}) {
        return run(instance.call(std::move(options), std::move(function)));
    }
};

// A call that the instance has begun, that is pending, and for which nobody waits any more.
inline qvd_call* left_pending(Room& room, plugin::Instance& instance) {
    for (Milliseconds limit{10};; limit *= 2) {
        auto begun = std::make_shared<std::atomic<qvd_call*>>(nullptr);
        plugin::CallOptions options;
        options.limit = limit;
        const plugin::Outcome outcome = room.call(
            instance,
            [begun](qvd_call* call) -> qvd_status {
                *begun = call;
                return QVD_PENDING;
            },
            options);
        REQUIRE(outcome.timed_out);
        // On a busy machine the time may be up before its turn came: then it never began.
        if (qvd_call* const pending = *begun) return pending;
    }
}

inline std::string text(qvd_str raw) {
    return std::string(raw.data, raw.length);
}
inline qvd_str lend(std::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace qvd::testing
