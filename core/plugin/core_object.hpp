// The `qvd_core` that one plugin instance gets, and the service tables behind it.
#pragma once

#include "plugin/host.hpp"
#include "plugin/manifest.hpp"

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

namespace qvd::plugin {

class Lane;

// Lives as long as the instance. Its address reaches plugins as `const qvd_core*`.
class CoreObject {
public:
    // `view` knows the plugin's keys.
    CoreObject(Host& host, const Manifest& manifest, const config::View& view, std::string instance,
               std::shared_ptr<Lane> lane);
    ~CoreObject();
    CoreObject(const CoreObject&) = delete;
    CoreObject& operator=(const CoreObject&) = delete;

    [[nodiscard]] const qvd_core* raw() const { return &raw_.core; }
    static CoreObject& of(const qvd_core* core);

    [[nodiscard]] Host& host() { return host_; }
    [[nodiscard]] const Manifest& manifest() const { return manifest_; }
    [[nodiscard]] const std::string& instance() const { return instance_; }
    [[nodiscard]] Lane& lane() { return *lane_; }

    // The declared key's text as it was when the instance was made; null if it is not declared.
    [[nodiscard]] const std::string* setting(std::string_view key) const;
    [[nodiscard]] const config::Declaration* declaration(std::string_view key) const;

    // While create() runs; metrics may only be defined then.
    std::atomic<bool> creating{true};
    std::vector<std::shared_ptr<Metric>> metrics;

    // [any] A process with QVD_PROCESS_END_WITH_CORE.
    void end_with_core(std::string label);

    // What runs callbacks into the plugin: by its threading rule, and none once this is closed,
    // which it may outlive. What they throw is the plugin's misbehaviour.
    using Caller = std::function<void(std::function<void()> callback)>;
    [[nodiscard]] Caller caller(std::string what) const;

    // Before destroy(): when it returns, no timer and no callback runs or will run.
    void close();

    // Timers of this instance.
    std::uint64_t start_timer(Milliseconds delay, void (*fire)(void*), void* data);
    void cancel_timer(std::uint64_t timer);
    void cancel_timers();

    // Snapshots that the plugin has taken and not given back.
    const qvd_snapshot* take_snapshot();
    void give_back(const qvd_snapshot* snapshot);

private:
    struct Raw {
        qvd_core core;
        CoreObject* owner;
    };
    struct Timer;
    struct Gate {
        std::shared_mutex mutex;  // shared by callbacks that run
        bool open = true;
    };

    Host& host_;
    const Manifest& manifest_;
    std::string instance_;
    std::shared_ptr<Lane> lane_;
    std::map<std::string, std::string, std::less<>> settings_;
    Raw raw_{};
    std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();

    std::mutex mutex_;  // guards what follows
    std::map<std::uint64_t, std::shared_ptr<Timer>> timers_;
    std::uint64_t last_timer_ = 0;
    std::vector<std::string> processes_to_end_;
    std::multimap<const qvd_snapshot*, std::shared_ptr<const Inventory>> snapshots_;
};

log::Level level_of(std::int32_t level);

// The table of a service, or null; the tables are constant (services_local.cpp).
const void* find_service(CoreObject& core, std::string_view id);

}  // namespace qvd::plugin
