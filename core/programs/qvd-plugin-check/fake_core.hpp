// A core as a plugin sees it, with every service in a harmless form: nothing is stored, nothing
// started, no timer fires. It notes what a plugin must not do.
#pragma once

#include <qvd/hypervisor.h>
#include <qvd/load_balancer.h>
#include <qvd/services.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::check {

// The ids of all services.
inline constexpr std::array all_services{
    QVD_CORE_LOG,          QVD_CORE_CONFIGURATION, QVD_CORE_TIMERS,     QVD_CORE_INVENTORY,
    QVD_CORE_PROVISIONING, QVD_CORE_ACCOUNTS,      QVD_CORE_PROPERTIES, QVD_CORE_METRICS,
    QVD_CORE_PROCESSES,    QVD_CORE_VM_EVENTS};

using Settings = std::map<std::string, std::string, std::less<>>;

class FakeCore {
public:
    // `later`: as a core of a later release would be, with structs that go on behind what this one
    // knows.
    FakeCore(Settings settings, std::set<std::string> missing_services, bool later);
    ~FakeCore() = default;
    FakeCore(const FakeCore&) = delete;
    FakeCore(FakeCore&&) = delete;
    FakeCore& operator=(const FakeCore&) = delete;
    FakeCore& operator=(FakeCore&&) = delete;

    [[nodiscard]] const qvd_core* raw() const { return &raw_.core; }
    static FakeCore& of(const qvd_core* core);

    // What the plugin did wrong so far; empty again afterwards.
    std::vector<std::string> take_complaints();
    void complain(std::string what);

    [[nodiscard]] const std::string* setting(std::string_view key) const;
    [[nodiscard]] const void* service(std::string_view id) const;

    const qvd_snapshot* take_snapshot();
    void give_back(const qvd_snapshot* snapshot);
    [[nodiscard]] int snapshots_out() const { return snapshots_out_; }

    // While create() runs: only then may metrics be defined.
    void set_creating(bool creating) { creating_ = creating; }
    [[nodiscard]] bool creating() const { return creating_; }

private:
    struct Raw {
        qvd_core core;
        std::array<char, 64> later;  // unknown to the plugin
        FakeCore* owner;
    };

    bool creating_ = true;
    Settings settings_;
    std::set<std::string> missing_;
    Raw raw_{};
    qvd_snapshot snapshot_{};
    std::atomic<int> snapshots_out_{0};
    std::mutex mutex_;  // guards complaints_
    std::vector<std::string> complaints_;
};

// One call, as a plugin sees it.
class FakeCall {
public:
    explicit FakeCall(bool later = false);
    ~FakeCall() = default;
    FakeCall(const FakeCall&) = delete;
    FakeCall(FakeCall&&) = delete;
    FakeCall& operator=(const FakeCall&) = delete;
    FakeCall& operator=(FakeCall&&) = delete;

    [[nodiscard]] qvd_call* raw() { return &raw_.call; }

    // How the call ended, given what the function returned: waits for complete() after QVD_PENDING.
    // Nothing if it did not come in time. Then `broken` says what was wrong about its end.
    std::optional<qvd_status> end(qvd_status returned, std::chrono::milliseconds limit);
    [[nodiscard]] std::string sentence() const;
    [[nodiscard]] std::optional<std::uint64_t> choice() const;
    [[nodiscard]] int completions() const;

private:
    struct Raw {
        qvd_call call;
        std::array<char, 64> later;
        FakeCall* owner;
    };
    static FakeCall& of(const qvd_call* call);

    Raw raw_{};
    mutable std::mutex mutex_;  // guards what follows
    std::condition_variable ended_;
    std::string sentence_;
    std::optional<std::uint64_t> choice_;
    std::optional<qvd_status> completed_;
    int completions_ = 0;
};

}  // namespace qvd::check
