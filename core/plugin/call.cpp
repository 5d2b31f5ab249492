#include "plugin/call.hpp"

#include "base/log.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

constexpr std::size_t max_values = 1000;
constexpr std::size_t max_value_bytes = 64UL * 1024;

std::uint64_t next_id() {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

// From a plugin only the length counts, and it may be anything.
std::string copy(qvd_str text, std::size_t limit = max_value_bytes) {
    if (text.data == nullptr) return {};
    return {text.data, std::min(text.length, limit)};
}

ErrorKind kind_of(qvd_status status) {
    switch (status) {
        case QVD_DECLINED:
        case QVD_DENIED:
            return ErrorKind::denied;
        case QVD_NOT_FOUND:
            return ErrorKind::not_found;
        case QVD_UNAVAILABLE:
            return ErrorKind::unavailable;
        case QVD_TIMEOUT:
            return ErrorKind::timeout;
        case QVD_CANCELLED:
            return ErrorKind::cancelled;
        case QVD_INVALID:
            return ErrorKind::invalid;
        case QVD_UNSUPPORTED:
            return ErrorKind::unsupported;
        case QVD_CONFLICT:
            return ErrorKind::conflict;
        default:
            return ErrorKind::internal;
    }
}

// A second complete() of a call must find the call, not freed memory: the newest calls that were
// completed stay, without what they lent.
void keep_for_a_while(std::shared_ptr<Call> call) {
    constexpr std::size_t most = 256;
    static std::mutex mutex;
    static std::array<std::shared_ptr<Call>, most> kept;
    static std::size_t next = 0;
    const std::scoped_lock lock(mutex);
    // What this displaces ends with `call`, after the lock.
    kept.at(next).swap(call);
    next = (next + 1) % most;
}

bool is_known(qvd_status status) {
    return status >= QVD_CONFLICT && status <= QVD_DECLINED;
}

}  // namespace

std::string_view status_name(qvd_status status) {
    switch (status) {
        case QVD_OK:
            return "ok";
        case QVD_PENDING:
            return "pending";
        case QVD_DECLINED:
            return "declined";
        case QVD_DENIED:
            return "denied";
        case QVD_NOT_FOUND:
            return "not found";
        case QVD_UNAVAILABLE:
            return "unavailable";
        case QVD_TIMEOUT:
            return "timeout";
        case QVD_CANCELLED:
            return "cancelled";
        case QVD_INVALID:
            return "invalid";
        case QVD_UNSUPPORTED:
            return "unsupported";
        case QVD_CONFLICT:
            return "conflict";
        default:
            return "internal";
    }
}

Error to_error(const Outcome& outcome, std::string code, std::string_view plugin) {
    std::string sentence = outcome.sentence;
    if (sentence.empty())
        sentence = "the plugin " + std::string(plugin) + " answered \"" +
                   std::string(status_name(outcome.status)) + "\" without a reason";
    return {kind_of(outcome.status), std::move(code), std::move(sentence)};
}

Call::Call(EventLoop& loop, std::string plugin, CallOptions options, Function function)
    : loop_(loop),
      plugin_(std::move(plugin)),
      options_(std::move(options)),
      wants_progress_(options_.progress != nullptr),
      deadline_(std::chrono::steady_clock::now() + options_.limit),
      function_(std::move(function)) {
    raw_.owner = this;
    raw_.call.size = sizeof raw_.call;
    raw_.call.id = next_id();
    raw_.call.trace_id = {options_.trace.c_str(), options_.trace.size()};
    raw_.call.remaining_ms = &Call::remaining_ms;
    raw_.call.fail = &Call::fail;
    raw_.call.progress = &Call::progress;
    raw_.call.put = &Call::put;
    raw_.call.result = &Call::result;
    raw_.call.complete = &Call::complete;
}

const Call* Call::of(const qvd_call* raw) {
    return raw == nullptr ? nullptr : reinterpret_cast<const Raw*>(raw)->owner;  // NOLINT
}

Call& Call::self(qvd_call* raw) {
    return *reinterpret_cast<Raw*>(raw)->owner;  // NOLINT: every qvd_call is a Raw's first member
}

void Call::run() {
    const auto alive = shared_from_this();
    if (abandoned_) {
        // It waited for its turn longer than anybody waited for it: the plugin never hears of it.
        end(QVD_CANCELLED);
        returned();
        return;
    }
    begun_ = true;
    {
        const std::scoped_lock lock(mutex_);
        kept_ = alive;
    }
    qvd_status status = QVD_INTERNAL;
    try {
        status = function_(&raw_.call);
    } catch (const std::exception& problem) {
        fail(&raw_.call, {problem.what(), std::char_traits<char>::length(problem.what())});
        misbehaves(std::string("threw an exception across the ABI: ") + problem.what());
    } catch (...) {
        misbehaves("threw an exception of an unknown type across the ABI");
    }
    if (status != QVD_PENDING) end(status);
    returned();
}

void Call::end(qvd_status status) {
    Function finished;
    std::shared_ptr<Call> kept;
    decltype(options_.collect) collect;
    bool awaited = false;
    {
        const std::scoped_lock lock(mutex_);
        if (ended_) {
            misbehaves("ended one call twice");
            return;
        }
        ended_ = true;
        if (!is_known(status) || status == QVD_PENDING)
            misbehaves("ended a call with the status " + std::to_string(status) +
                       ", which there is not");
        else
            outcome_.status = status;
        kept = std::move(kept_);
        collect = std::move(options_.collect);
        if (returned_) finished = std::move(function_);
        awaited = awaited_;
    }
    if (awaited) loop_.post([alive = shared_from_this()] { alive->done_.notify(); });
    // `finished`, `collect` and with them what was lent go here, outside of the lock.
}

void Call::returned() {
    Function finished;
    const std::scoped_lock lock(mutex_);  // goes before `finished` does
    returned_ = true;
    if (ended_) std::swap(finished, function_);
}

asio::awaitable<Outcome> Call::outcome() {
    const auto alive = shared_from_this();
    for (;;) {
        {
            const std::scoped_lock lock(mutex_);
            awaited_ = true;
            if (ended_) {
                options_.progress = nullptr;
                co_return outcome_;
            }
        }
        const auto left =
            std::chrono::duration_cast<Milliseconds>(deadline_ - std::chrono::steady_clock::now());
        if (left.count() <= 0) break;
        co_await done_.wait(left + Milliseconds(1));
    }
    abandon();
    Outcome late;
    late.status = QVD_TIMEOUT;
    late.timed_out = true;
    late.sentence = "the plugin " + plugin_ + " gave no answer within " +
                    std::to_string(options_.limit.count()) + " ms";
    co_return late;
}

void Call::abandon() {
    abandoned_ = true;
    options_.progress = nullptr;
}

bool Call::ended() const {
    const std::scoped_lock lock(mutex_);
    return ended_;
}

Outcome Call::ended_outcome() const {
    const std::scoped_lock lock(mutex_);
    return outcome_;
}

std::int64_t Call::overdue_ms() const {
    // Who waits for his turn is not stuck: he before whom he waits may be.
    if (!begun_ || ended()) return 0;
    const auto late =
        std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - deadline_);
    return std::max<std::int64_t>(0, late.count());
}

void Call::misbehaves(const std::string& what) const {
    log::warn("plugin.misbehaves", {{"plugin", plugin_}, {"trace", options_.trace}}, what);
}

Milliseconds Call::remaining() const {
    if (abandoned_) return Milliseconds{0};
    return std::max(Milliseconds{0}, std::chrono::duration_cast<Milliseconds>(
                                         deadline_ - std::chrono::steady_clock::now()));
}

std::int64_t Call::remaining_ms(const qvd_call* raw) {
    return of(raw)->remaining().count();
}

void Call::fail(qvd_call* raw, qvd_str sentence) {
    Call& call = self(raw);
    const std::scoped_lock lock(call.mutex_);
    if (!call.ended_) call.outcome_.sentence = copy(sentence, 1024);
}

void Call::progress(qvd_call* raw, std::int32_t percent, qvd_str sentence) {
    Call& call = self(raw);
    if (!call.wants_progress_) return;
    const std::scoped_lock lock(call.mutex_);
    const bool told_soon = call.step_.has_value();
    call.step_ = {std::clamp(percent, -1, 100), copy(sentence, 1024)};
    if (told_soon) return;
    call.loop_.post([alive = call.shared_from_this()] { alive->tell_progress(); });
}

void Call::tell_progress() {
    std::optional<std::pair<int, std::string>> step;
    {
        const std::scoped_lock lock(mutex_);
        step.swap(step_);
    }
    if (step && options_.progress) options_.progress(step->first, step->second);
}

void Call::put(qvd_call* raw, qvd_str key, qvd_str value) {
    Call& call = self(raw);
    const std::scoped_lock lock(call.mutex_);
    if (call.ended_ || key.length == 0 || key.length > 1024 || value.length > max_value_bytes ||
        call.outcome_.values.size() >= max_values) {
        call.misbehaves("put a value that is too long, one too many, or one after its call's end");
        return;
    }
    call.outcome_.values[copy(key)] = copy(value);
}

void Call::result(qvd_call* raw, std::uint32_t kind, const void* record) {
    Call& call = self(raw);
    const std::scoped_lock lock(call.mutex_);
    if (call.ended_ || record == nullptr || !call.options_.collect ||
        !call.options_.collect(kind, record))
        call.misbehaves("handed back a record of kind " + std::to_string(kind) +
                        " where it does not belong");
}

void Call::complete(qvd_call* raw, qvd_status status) {
    // The plugin may have been the last to hold the call.
    const auto alive = self(raw).shared_from_this();
    keep_for_a_while(alive);
    alive->end(status);
}

}  // namespace qvd::plugin
