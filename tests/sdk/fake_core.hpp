// A core and a call as a plugin sees them, which remember what the plugin did; for tests of the SDK
// and of plugins. They use the C headers only.
#pragma once

#include <qvd/plugin.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qvd::testing {

inline qvd_str text(std::string_view s) {
    return {s.data(), s.size()};
}
inline std::string text(qvd_str s) {
    return s.length == 0 ? std::string() : std::string(s.data, s.length);
}
inline qvd_secret secret(std::string_view s) {
    return {s.data(), s.size()};
}

template <class Element>
qvd_array array(const std::vector<Element>& elements) {
    return {elements.data(), elements.size(), sizeof(Element)};
}

// One call. A record is lent only while it is handed back: `on_result` sees it at that moment.
class FakeCall {
public:
    FakeCall() {
        static std::atomic<std::uint64_t> last_id{0};
        raw_.size = sizeof(qvd_call);
        raw_.id = ++last_id;
        raw_.trace_id = text("trace-1");
        raw_.remaining_ms = [](const qvd_call* c) { return of(c).remaining_ms; };
        raw_.fail = [](qvd_call* c, qvd_str s) { of(c).sentence = text(s); };
        raw_.progress = [](qvd_call* c, std::int32_t percent, qvd_str s) {
            of(c).steps.emplace_back(percent, text(s));
        };
        raw_.put = [](qvd_call* c, qvd_str k, qvd_str v) { of(c).values[text(k)] = text(v); };
        raw_.result = [](qvd_call* c, std::uint32_t kind, const void* record) {
            of(c).kinds.push_back(kind);
            if (of(c).on_result) of(c).on_result(kind, record);
        };
        raw_.complete = [](qvd_call* c, qvd_status status) {
            of(c).completed = status;
            ++of(c).completions;
        };
        raw_.owner = this;
    }
    FakeCall(const FakeCall&) = delete;
    FakeCall& operator=(const FakeCall&) = delete;

    qvd_call* raw() { return &raw_; }
    std::uint64_t id() const { return raw_.id; }

    std::int64_t remaining_ms = 1000;
    std::string sentence;
    std::vector<std::pair<int, std::string>> steps;
    std::map<std::string, std::string> values;
    std::vector<qvd_kind> kinds;
    std::function<void(qvd_kind, const void*)> on_result;
    std::optional<qvd_status> completed;
    int completions = 0;

private:
    struct Raw : qvd_call {
        FakeCall* owner;
    };
    static FakeCall& of(const qvd_call* call) { return *static_cast<const Raw*>(call)->owner; }

    Raw raw_{};
};

// What one instance is offered: configuration, a log, and the services that a test gives it.
class FakeCore {
public:
    FakeCore() {
        raw_.size = sizeof(qvd_core);
        raw_.abi_major = QVD_ABI_MAJOR;
        raw_.abi_minor = QVD_ABI_MINOR;
        raw_.draft = QVD_ABI_DRAFT;
        raw_.version = text("0.0-test");
        raw_.instance = text("test");
        raw_.log = [](const qvd_core* c, std::int32_t level, qvd_str line) {
            of(c).lines.emplace_back(level, text(line));
        };
        raw_.config = [](const qvd_core* c, const char* key, qvd_str* value) {
            const auto found = of(c).config.find(key);
            if (found == of(c).config.end()) return static_cast<qvd_status>(QVD_INVALID);
            *value = text(found->second);
            return static_cast<qvd_status>(QVD_OK);
        };
        raw_.service = [](const qvd_core* c, const char* id) -> const void* {
            const auto found = of(c).services.find(id);
            return found == of(c).services.end() ? nullptr : found->second;
        };
        raw_.owner = this;
    }
    FakeCore(const FakeCore&) = delete;
    FakeCore& operator=(const FakeCore&) = delete;

    const qvd_core* raw() const { return &raw_; }
    // The core that a service's function was called with.
    static FakeCore& of(const qvd_core* core) { return *static_cast<const Raw*>(core)->owner; }

    std::map<std::string, std::string> config;
    std::map<std::string, const void*> services;
    std::vector<std::pair<int, std::string>> lines;

private:
    struct Raw : qvd_core {
        FakeCore* owner;
    };
    Raw raw_{};
};

}  // namespace qvd::testing
