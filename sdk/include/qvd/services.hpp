// qvd/services.hpp - the core's services as C++ classes.
//
// Each is made from a Core and throws Failure(QVD_UNSUPPORTED) if this core lacks the service; make
// them in the plugin's constructor, so that a missing one is told at start. Threads and meanings
// are those of qvd/services.h. What is not found is an empty optional; all other trouble is thrown.
#pragma once

#include <qvd/accounts.hpp>
#include <qvd/inventory.hpp>
#include <qvd/processes.hpp>

#include <functional>

namespace qvd::sdk {

// Log lines with a stable event name. [any]
class EventLog {
public:
    explicit EventLog(const Core& core)
        : core_(core), table_(detail::needed<qvd_log_service>(core, QVD_CORE_LOG)) {}

    [[nodiscard]] bool enabled(std::int32_t level) const {
        return table_->enabled(core_.raw(), level) != 0;
    }
    void write(const Call* call, std::int32_t level, std::string_view event,
               std::string_view line) const {
        table_->write(core_.raw(), detail::raw_of(call), level, str(event), str(line));
    }

private:
    Core core_;
    const qvd_log_service* table_;
};

// Declared keys by type. [any]
class Configuration {
public:
    explicit Configuration(const Core& core)
        : core_(core),
          table_(detail::needed<qvd_configuration_service>(core, QVD_CORE_CONFIGURATION)) {}

    [[nodiscard]] std::string_view text(std::string_view key) const {
        qvd_str value{};
        check(table_->get(core_.raw(), str(key), &value), key);
        return view(value);
    }
    [[nodiscard]] std::int64_t integer(std::string_view key) const {
        std::int64_t value = 0;
        check(table_->get_integer(core_.raw(), str(key), &value), key);
        return value;
    }
    [[nodiscard]] double number(std::string_view key) const {
        double value = 0;
        check(table_->get_number(core_.raw(), str(key), &value), key);
        return value;
    }
    [[nodiscard]] bool boolean(std::string_view key) const { return integer(key) != 0; }
    [[nodiscard]] std::chrono::seconds seconds(std::string_view key) const {
        return std::chrono::seconds(integer(key));
    }

private:
    static void check(qvd_status status, std::string_view key) {
        if (status == QVD_NOT_FOUND) throw Failure(QVD_INVALID, std::string(key) + " is not set");
        if (status != QVD_OK)
            throw Failure(status, std::string(key) + " is not declared, or not with this type");
    }

    Core core_;
    const qvd_configuration_service* table_;
};

// One timer, which ends with this object. Its function may set it again. It does not move: the core
// holds its address.
class Timer {
public:
    explicit Timer(const Core& core)
        : core_(core), table_(detail::needed<qvd_timers_service>(core, QVD_CORE_TIMERS)) {}
    Timer(const Timer&) = delete;
    Timer(Timer&&) = delete;
    Timer& operator=(const Timer&) = delete;
    Timer& operator=(Timer&&) = delete;
    ~Timer() { cancel(); }

    // Calls `fire` once on a worker thread; what it throws is logged. Replaces what was set before.
    void after(std::chrono::milliseconds delay, std::function<void()> fire) {
        cancel();
        fire_ = std::move(fire);
        if (const qvd_status status =
                table_->after(core_.raw(), delay.count(), &Timer::run, this, &timer_);
            status != QVD_OK)
            throw Failure(status, "the core could not set a timer");
    }
    void cancel() noexcept {
        const std::uint64_t timer = std::exchange(timer_, 0);
        if (timer != 0 && firing() != this) table_->cancel(core_.raw(), timer);
    }

private:
    // The timer whose function this thread runs: the core must not be asked to wait for that.
    static Timer*& firing() noexcept {
        // NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): one for each thread
        static thread_local Timer* timer = nullptr;
        return timer;
    }
    static void run(void* self) noexcept {
        auto* timer = static_cast<Timer*>(self);
        const Core core = timer->core_;
        const std::function<void()> fire = std::move(timer->fire_);
        Timer* outer = std::exchange(firing(), timer);
        try {
            fire();
        } catch (const std::exception& e) {
            core.error(e.what());
        } catch (...) {
            core.error("a timer threw an exception of an unknown type");
        }
        firing() = outer;
    }

    Core core_;
    const qvd_timers_service* table_;
    std::function<void()> fire_;
    std::uint64_t timer_ = 0;
};

// A counter or gauge; make it in the plugin's constructor.
class Metric {
public:
    Metric(const Core& core, qvd_metric_type type, std::string_view name, std::string_view meaning)
        : core_(core), table_(detail::needed<qvd_metrics_service>(core, QVD_CORE_METRICS)) {
        if (const qvd_status status =
                table_->define(core_.raw(), type, str(name), str(meaning), &metric_);
            status != QVD_OK)
            throw Failure(status, "the core refused the metric " + std::string(name));
    }
    void add(std::int64_t amount = 1) const { table_->add(core_.raw(), metric_, amount); }
    void set(std::int64_t value) const { table_->set(core_.raw(), metric_, value); }

private:
    Core core_;
    const qvd_metrics_service* table_;
    std::uint32_t metric_ = 0;
};

}  // namespace qvd::sdk
