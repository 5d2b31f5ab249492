// What one role of the node gives its plugins to work with: worker threads, its event loop, its
// configuration, and behind the core services the database, the processes and the metrics.
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "config/view.hpp"
#include "plugin/call.hpp"
#include "plugin/inventory.hpp"
#include "plugin/verified_passwords.hpp"
#include "plugin/vm_spec.hpp"
#include "plugin/workers.hpp"

#include <boost/asio/co_spawn.hpp>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace qvd::plugin {

class Processes;

// A number that a plugin counts, by "plugin.metric".
struct Metric {
    std::string name;
    std::string meaning;
    qvd_metric_type type = QVD_COUNTER;
    std::atomic<std::int64_t> value{0};
};

// What has been counted, in the text format of Prometheus; "plugin.metric" is qvd_plugin_metric.
std::string metrics_text(const std::vector<std::shared_ptr<Metric>>& metrics);

// Instances that are being destroyed on worker threads; the host waits for them.
class Endings {
public:
    // False once the host is closing: then there is no thread left to end anything on.
    bool begin();
    void done();
    // Lets no new one begin, and waits for those that did, at most `limit`.
    void close(Milliseconds limit);

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int under_way_ = 0;
    bool closed_ = false;
};

// The call that is furthest past its deadline; `by` 0: none is past it.
struct Overdue {
    Milliseconds by{0};
    std::string call;
};

// Made once by a role, before its first plugin; outlives all of them.
class Host {
public:
    // `store` may be null (an agent, qvd-plugin-check): then the services that need it are absent.
    Host(EventLoop& loop, config::View view, store::Store* store, std::size_t worker_threads = 8);
    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    [[nodiscard]] EventLoop& loop() { return loop_; }
    [[nodiscard]] boost::asio::thread_pool& workers() { return workers_.pool(); }
    // [event loop] The threads of one hypervisor's own, made when first asked for.
    [[nodiscard]] OwnWorkers& workers_of(const std::string& hypervisor);
    // [event loop] How many calls of each hypervisor run at once, the long ones apart; it never
    // becomes less.
    void set_calls_at_once(std::size_t calls);
    [[nodiscard]] store::Store* store() const { return store_; }
    [[nodiscard]] std::shared_ptr<Endings> endings() const { return endings_; }
    [[nodiscard]] config::View view() const;
    void set_view(config::View view);

    // hkd's, which lends other services than the broker's. Whoever runs VMs listens to them,
    // perhaps only once all backends are there.
    [[nodiscard]] bool runs_vms() const { return processes != nullptr || on_vm_event; }

    // Called on the event loop when a backend says that a VM changed by itself.
    std::function<void(VmStatus)> on_vm_event;
    // First and last address of the VM network; null where this role makes no VMs.
    std::function<Result<std::pair<std::string, std::string>>()> vm_addresses;
    // Null: no processes service (only hkd has one).
    std::unique_ptr<Processes> processes;

    // [any] Behind the accounts service.
    [[nodiscard]] VerifiedPasswords& passwords() { return passwords_; }

    // [any] The newest inventory; never null.
    [[nodiscard]] std::shared_ptr<const Inventory> inventory() const;
    void set_inventory(std::shared_ptr<const Inventory> inventory);

    // [worker] Runs a store operation on the event loop and waits for it, until the deadline of the
    // call it is made for, or 10 s without one. invalid "service.loop" on the event loop's own
    // thread, where waiting would be for ever; timeout "service.timeout".
    template <class T>
    Result<T> wait_for(boost::asio::awaitable<Result<T>> operation, const Call* on_behalf);

    // The calls under way: for the supervisor's watch over stuck ones.
    void watch(std::weak_ptr<const Call> call);
    [[nodiscard]] Overdue longest_overdue() const;

    Result<std::shared_ptr<Metric>> define_metric(std::string name, std::string meaning,
                                                  qvd_metric_type type);
    [[nodiscard]] std::vector<std::shared_ptr<Metric>> metrics() const;

private:
    EventLoop& loop_;
    Workers workers_;
    std::size_t calls_at_once_ = 16;
    std::map<std::string, std::unique_ptr<OwnWorkers>> own_workers_;  // by hypervisor
    store::Store* store_;
    std::shared_ptr<Endings> endings_ = std::make_shared<Endings>();
    SteadyClock clock_;
    VerifiedPasswords passwords_{clock_};

    mutable std::mutex mutex_;  // guards what follows; held for a copy at most
    config::View view_;
    std::shared_ptr<const Inventory> inventory_;
    std::vector<std::weak_ptr<const Call>> calls_;
    std::map<std::string, std::shared_ptr<Metric>> metrics_;
};

template <class T>
Result<T> Host::wait_for(boost::asio::awaitable<Result<T>> operation, const Call* on_behalf) {
    if (loop_.get_executor().running_in_this_thread()) {
        log::warn("plugin.misbehaves", {{"plugin", on_behalf ? on_behalf->plugin() : "?"}},
                  "called a service that waits from a [loop] function");
        return Error{ErrorKind::invalid, "service.loop",
                     "this service must not be called from a [loop] function"};
    }
    auto answer = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> future = answer->get_future();
    auto asking = [](boost::asio::awaitable<Result<T>> asked,
                     std::shared_ptr<std::promise<Result<T>>> to) -> boost::asio::awaitable<void> {
        to->set_value(co_await std::move(asked));
    }(std::move(operation), answer);
    loop_.post([&loop = loop_, asking = std::move(asking)]() mutable {
        boost::asio::co_spawn(loop, std::move(asking), [](const std::exception_ptr& broken) {
            // The asker hears of it by the broken promise.
            if (broken) log::error("service.broken", {}, "a database operation threw");
        });
    });
    answer.reset();
    const Milliseconds limit = on_behalf == nullptr ? Milliseconds{10'000} : on_behalf->remaining();
    if (future.wait_for(limit) != std::future_status::ready)
        return Error{ErrorKind::timeout, "service.timeout",
                     "the database gave no answer in " + std::to_string(limit.count()) + " ms"};
    try {
        return future.get();
    } catch (const std::future_error&) {
        return Error{ErrorKind::cancelled, "service.cancelled", "the node is stopping"};
    }
}

}  // namespace qvd::plugin
