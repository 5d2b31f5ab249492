// What a VmaHook plugin sees of the agent: qvd_core with log, configuration and timers, and
// qvd_call. Lives in the plugin's host process only.
#pragma once

#include "base/clock.hpp"
#include "config/view.hpp"
#include "vma/hook_host.hpp"

#include <qvd/plugin.h>
#include <qvd/services.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace qvd::vma {

// One call; the plugin has a pointer to the base.
class HookCall : public qvd_call {
public:
    explicit HookCall(Milliseconds limit);

    // After QVD_PENDING.
    qvd_status await_completion();
    [[nodiscard]] std::string sentence() const;
    // "put.NAME" of each value that the plugin handed back.
    [[nodiscard]] Packet take_results();

private:
    static HookCall& self(const qvd_call* call);

    SteadyClock clock_;
    Deadline deadline_;
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::string sentence_;
    Packet results_;
    std::optional<qvd_status> completed_;
};

class HookCore {
public:
    using Send = std::function<void(const Packet&)>;

    HookCore(std::string plugin, Send send);
    HookCore(const HookCore&) = delete;
    HookCore& operator=(const HookCore&) = delete;
    ~HookCore() = delete;  // lives as long as its process

    // Checks the file's values of the keys that the plugin declares. Errors: plugin.load.
    Result<void> configure(const qvd_plugin& manifest, const config::Properties& file);
    [[nodiscard]] const qvd_core* table() const { return &table_; }
    // One call into the plugin at a time: that fits every threading rule.
    qvd_status run(const std::function<qvd_status()>& call);

private:
    // qvd_core with a way back to this object.
    struct Table : qvd_core {
        HookCore* owner;
    };
    struct Timer {
        Clock::time_point at;
        void (*fire)(void*) = nullptr;
        void* data = nullptr;
    };

    static HookCore& self(const qvd_core* core);
    static qvd_status after(const qvd_core* core, int64_t delay_ms, void (*fire)(void*), void* data,
                            uint64_t* timer);
    static void cancel(const qvd_core* core, uint64_t timer);
    void run_timers();

    std::string plugin_;
    Send send_;
    Table table_{};
    qvd_timers_service timers_service_{};
    std::map<std::string, std::string, std::less<>> values_;

    std::recursive_mutex serial_;  // held while the plugin runs; taken before timers_mutex_
    std::mutex timers_mutex_;      // guards timers_ and last_timer_
    std::condition_variable timers_changed_;
    std::map<std::uint64_t, Timer> timers_;
    std::uint64_t last_timer_ = 0;
    std::optional<std::thread> timer_thread_;
};

}  // namespace qvd::vma
