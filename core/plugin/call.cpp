#include "plugin/call.hpp"

#include "base/log.hpp"

#include <boost/asio/post.hpp>

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

Call::Call(asio::any_io_executor loop, std::string plugin, CallOptions options, Function function)
    : loop_(std::move(loop)),
      plugin_(std::move(plugin)),
      options_(std::move(options)),
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
}

void Call::end(qvd_status status) {
    Function finished;
    {
        const std::scoped_lock lock(mutex_);
        if (ended_) {
            misbehaves("ended one call twice");
            return;
        }
        ended_ = true;
        outcome_.status = is_known(status) && status != QVD_PENDING ? status : QVD_INTERNAL;
        finished = std::move(function_);
    }
    asio::post(loop_, [alive = shared_from_this(), finished = std::move(finished)]() mutable {
        finished = nullptr;  // what was lent is wiped here, on the event loop
        alive->done_.notify();
    });
}

asio::awaitable<Outcome> Call::outcome() {
    const auto alive = shared_from_this();
    for (;;) {
        {
            const std::scoped_lock lock(mutex_);
            if (ended_) co_return outcome_;
        }
        const auto left =
            std::chrono::duration_cast<Milliseconds>(deadline_ - std::chrono::steady_clock::now());
        if (left.count() <= 0) break;
        co_await done_.wait(left + Milliseconds(1));
    }
    abandoned_ = true;
    Outcome late;
    late.status = QVD_TIMEOUT;
    late.timed_out = true;
    late.sentence = "the plugin " + plugin_ + " gave no answer within " +
                    std::to_string(options_.limit.count()) + " ms";
    co_return late;
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
    if (ended()) return 0;
    const auto late =
        std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - deadline_);
    return std::max<std::int64_t>(0, late.count());
}

void Call::misbehaves(const std::string& what) const {
    log::warn("plugin.misbehaves", {{"plugin", plugin_}, {"trace", options_.trace}}, what);
}

std::int64_t Call::remaining_ms(const qvd_call* raw) {
    const Call& call = *of(raw);
    if (call.abandoned_) return 0;
    const auto left =
        std::chrono::duration_cast<Milliseconds>(call.deadline_ - std::chrono::steady_clock::now());
    return std::max<std::int64_t>(0, left.count());
}

void Call::fail(qvd_call* raw, qvd_str sentence) {
    Call& call = self(raw);
    const std::scoped_lock lock(call.mutex_);
    if (!call.ended_) call.outcome_.sentence = copy(sentence, 1024);
}

void Call::progress(qvd_call* raw, std::int32_t percent, qvd_str sentence) {
    Call& call = self(raw);
    if (!call.options_.progress) return;
    asio::post(call.loop_,
               [alive = call.shared_from_this(), percent, text = copy(sentence, 1024)]() {
                   if (!alive->abandoned_) alive->options_.progress(percent, text);
               });
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
    alive->end(status);
}

}  // namespace qvd::plugin
