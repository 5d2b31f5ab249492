// The core's side of one call into a plugin: its deadline, its answers, and its end, which may come
// on any thread and long after the caller has given up.
#pragma once

#include "base/clock.hpp"
#include "base/event_loop.hpp"
#include "base/result.hpp"
#include "base/wakeup.hpp"
#include "model/vm.hpp"

#include <qvd/plugin.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace qvd::plugin {

// What a call came to.
struct Outcome {
    qvd_status status = QVD_INTERNAL;
    std::string sentence;    // the plugin's own, or the core's where it said none
    Properties values;       // put()
    bool timed_out = false;  // the core gave up; the plugin may still be at it
};

// The Error of an outcome that is neither QVD_OK nor QVD_DECLINED, as `code`.
Error to_error(const Outcome& outcome, std::string code, std::string_view plugin);
std::string_view status_name(qvd_status status);

// What a caller wants of a call besides its outcome.
struct CallOptions {
    std::string function;  // of the interface, for the log: "start"
    Milliseconds limit{10'000};
    std::string trace;
    bool bulk = false;  // may take minutes: keeps no short one waiting
    // Copies a typed record; false if its kind does not belong here (misbehaviour). Called on the
    // plugin's thread, one at a time, never after the call's end.
    std::function<bool(qvd_kind kind, const void* record)> collect;
    // On the event loop; steps that come faster than it runs are left out, but for the last.
    std::function<void(int percent, const std::string& sentence)> progress;
};

class Call : public std::enable_shared_from_this<Call> {
public:
    using Function = std::function<qvd_status(qvd_call*)>;

    // `function` owns whatever is lent to the plugin; it is kept until the call has ended.
    Call(EventLoop& loop, std::string plugin, CallOptions options, Function function);

    [[nodiscard]] std::uint64_t id() const { return raw_.call.id; }
    [[nodiscard]] const std::string& plugin() const { return plugin_; }
    [[nodiscard]] const std::string& trace() const { return options_.trace; }
    // "lxc-unionfs: start".
    [[nodiscard]] std::string what() const { return plugin_ + ": " + options_.function; }

    // Runs the function on this thread; nothing escapes it. From here until its end the call keeps
    // itself and what it lends alive, whoever still waits for it.
    void run();

    // [event loop] Waits for the end, at most until the deadline; then remaining_ms() is 0.
    boost::asio::awaitable<Outcome> outcome();
    // [event loop] Nobody waits any more: remaining_ms() is 0, and what still comes is worthless.
    void abandon();
    // [any] Time to the deadline, 0 once it passed or the call was abandoned.
    [[nodiscard]] Milliseconds remaining() const;
    // [any] Milliseconds past the deadline of a call that has not ended; 0 otherwise.
    [[nodiscard]] std::int64_t overdue_ms() const;
    [[nodiscard]] bool ended() const;
    // Of a call that has ended.
    [[nodiscard]] Outcome ended_outcome() const;

    // The call of a pointer that a plugin handed back; null stays null.
    static const Call* of(const qvd_call* raw);

private:
    static Call& self(qvd_call* raw);
    static std::int64_t remaining_ms(const qvd_call* raw);
    static void fail(qvd_call* raw, qvd_str sentence);
    static void progress(qvd_call* raw, std::int32_t percent, qvd_str sentence);
    static void put(qvd_call* raw, qvd_str key, qvd_str value);
    static void result(qvd_call* raw, std::uint32_t kind, const void* record);
    static void complete(qvd_call* raw, qvd_status status);

    void end(qvd_status status);
    void returned();
    void tell_progress();
    void misbehaves(const std::string& what) const;

    // What the plugin sees, and the way back from there.
    struct Raw {
        qvd_call call;
        Call* owner;
    };

    Raw raw_{};
    EventLoop& loop_;
    std::string plugin_;
    CallOptions options_;
    const bool wants_progress_;
    Clock::time_point deadline_;
    std::atomic<bool> abandoned_{false};
    std::atomic<bool> begun_{false};

    mutable std::mutex mutex_;  // guards what follows; of foreign code only collect runs under it
    Function function_;         // kept until it has returned and the call has ended
    Outcome outcome_;
    std::shared_ptr<Call> kept_;  // this, from run() to the end
    bool ended_ = false;
    bool returned_ = false;
    bool awaited_ = false;
    std::optional<std::pair<int, std::string>> step_;  // of progress(), not yet told

    Wakeup done_;  // of the event loop
};

}  // namespace qvd::plugin
