// qvd/plugin.hpp - the C++17 way to write what qvd/plugin.h describes.
//
// Header only and all inline: it is compiled into the plugin, so it is no part of the ABI and may
// change shape in any release. Write a class derived from one of
//
//     qvd::HypervisorBackend   qvd::Authenticator   qvd::LoadBalancer   qvd::VmaHook
//
// and export it with QVD_PLUGIN. It is constructed from a const qvd::sdk::Core& if it can be,
// otherwise from nothing. Whatever it throws becomes a status and a sentence: qvd::sdk::Failure
// says which, any other exception is QVD_INTERNAL (a bug in the plugin).
#pragma once

#include <qvd/plugin.h>
#include <qvd/values.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace qvd::sdk {

// Thrown by a plugin to end a call with a status and a sentence for the operator.
class Failure : public std::runtime_error {
public:
    Failure(qvd_status status, const std::string& sentence)
        : std::runtime_error(sentence), status_(status) {}
    [[nodiscard]] qvd_status status() const noexcept { return status_; }

private:
    qvd_status status_;
};

// The answer of a function that may leave the decision to the next plugin.
enum class Answer {
    yes,     // QVD_OK
    pass,    // QVD_DECLINED: no yes from here; a wrong password is this
    refuse,  // QVD_DENIED: a definite no, ask nobody else
};

// What the core offers to one instance; copy it freely while that one lives. [any]
class Core {
public:
    explicit Core(const qvd_core* raw) noexcept : raw_(raw) {}

    void debug(std::string_view line) const { raw_->log(raw_, QVD_LOG_DEBUG, str(line)); }
    void info(std::string_view line) const { raw_->log(raw_, QVD_LOG_INFO, str(line)); }
    void warning(std::string_view line) const { raw_->log(raw_, QVD_LOG_WARNING, str(line)); }
    void error(std::string_view line) const { raw_->log(raw_, QVD_LOG_ERROR, str(line)); }

    [[nodiscard]] std::string_view version() const noexcept { return view(raw_->version); }
    [[nodiscard]] std::string_view instance() const noexcept { return view(raw_->instance); }

    // The value of a key that the plugin declares; empty if it has neither value nor default.
    std::string_view config(const char* key) const {
        qvd_str value{};
        if (const qvd_status status = raw_->config(raw_, key, &value); status != QVD_OK)
            throw Failure(status,
                          std::string("this plugin does not declare the configuration key ") + key);
        return view(value);
    }

    // The table of a service, e.g. service<qvd_timers_service>(QVD_CORE_TIMERS); null if this core
    // lacks it. The classes of qvd/services.hpp are more comfortable.
    template <class Table>
    const Table* service(const char* id) const noexcept {
        return static_cast<const Table*>(raw_->service(raw_, id));
    }
    [[nodiscard]] const qvd_core* raw() const noexcept { return raw_; }

private:
    const qvd_core* raw_;
};

// The right to end a call later, from any thread; made by Call::defer(). What the call was lent
// (arguments, secrets, the call) stays valid until this is completed. Forgotten, it completes with
// QVD_INTERNAL.
class Pending {
public:
    Pending(Pending&& other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    Pending& operator=(Pending&& other) noexcept {
        std::swap(raw_, other.raw_);
        return *this;
    }
    Pending(const Pending&) = delete;
    Pending& operator=(const Pending&) = delete;
    ~Pending() {
        if (raw_ != nullptr) fail(QVD_INTERNAL, "the plugin forgot to complete this call");
    }

    [[nodiscard]] std::uint64_t id() const noexcept { return raw_->id; }
    [[nodiscard]] std::chrono::milliseconds remaining() const {
        return std::chrono::milliseconds(raw_->remaining_ms(raw_));
    }
    void progress(int percent, std::string_view sentence) {
        raw_->progress(raw_, percent, str(sentence));
    }
    void put(std::string_view key, std::string_view value) {
        raw_->put(raw_, str(key), str(value));
    }
    template <class Record>
    void result(qvd_kind kind, const Record& record) {
        raw_->result(raw_, kind, &record);
    }

    // Each ends the call; this object must not be used afterwards.
    void complete(qvd_status status = QVD_OK) noexcept {
        qvd_call* call = std::exchange(raw_, nullptr);
        call->complete(call, status);
    }
    void fail(qvd_status status, std::string_view sentence) noexcept {
        raw_->fail(raw_, str(sentence));
        complete(status);
    }

private:
    friend class Call;
    explicit Pending(qvd_call* raw) noexcept : raw_(raw) {}
    qvd_call* raw_;
};

// One request: how long it may take, and where its results go. [any]
class Call {
public:
    explicit Call(qvd_call* raw) noexcept : raw_(raw) {}
    Call(const Call&) = delete;
    Call(Call&&) = delete;
    Call& operator=(const Call&) = delete;
    Call& operator=(Call&&) = delete;
    ~Call() = default;

    [[nodiscard]] std::uint64_t id() const noexcept { return raw_->id; }
    [[nodiscard]] std::string_view trace_id() const noexcept { return view(raw_->trace_id); }
    [[nodiscard]] std::chrono::milliseconds remaining() const {
        return std::chrono::milliseconds(raw_->remaining_ms(raw_));
    }
    // `percent` 0..100, or -1 if it is not known.
    void progress(int percent, std::string_view sentence) {
        raw_->progress(raw_, percent, str(sentence));
    }
    void put(std::string_view key, std::string_view value) {
        raw_->put(raw_, str(key), str(value));
    }
    template <class Record>
    void result(qvd_kind kind, const Record& record) {
        raw_->result(raw_, kind, &record);
    }
    // Why the answer is no, where that is no exception.
    void explain(std::string_view sentence) { raw_->fail(raw_, str(sentence)); }

    // The function returns at once, its return value does not count, and the Pending ends the call.
    // Do not touch this Call afterwards.
    Pending defer() noexcept {
        deferred_ = true;
        return Pending(raw_);
    }
    [[nodiscard]] bool deferred() const noexcept { return deferred_; }
    [[nodiscard]] const qvd_call* raw() const noexcept { return raw_; }

private:
    qvd_call* raw_;
    bool deferred_ = false;
};

// What the four abstract classes have in common.
class Instance {
public:
    Instance() = default;
    Instance(const Instance&) = delete;
    Instance(Instance&&) = delete;
    Instance& operator=(const Instance&) = delete;
    Instance& operator=(Instance&&) = delete;
    virtual ~Instance() = default;

    // Gives up on a call that was deferred; ids that it does not know are ignored. Must not block.
    // [any]
    virtual void cancel(std::uint64_t /*call_id*/) {}

    // How many calls at once; a class that may be called more often says so by a constant of its
    // own.
    static constexpr qvd_threading threading = QVD_SERIAL;
};

namespace detail {

inline qvd_status status_of(Answer answer) noexcept {
    switch (answer) {
        case Answer::yes:
            return QVD_OK;
        case Answer::pass:
            return QVD_DECLINED;
        case Answer::refuse:
            return QVD_DENIED;
    }
    return QVD_INTERNAL;
}

inline qvd_status failed(Call& call, qvd_status status, const char* sentence) noexcept {
    if (call.deferred()) return QVD_PENDING;  // the Pending has ended, or will end, this call
    call.explain(sentence);
    return status;
}

// Runs `body(Call&)`, which returns a status, an Answer, or nothing, and turns whatever it throws
// into a status: nothing escapes.
template <class Body>
qvd_status guarded(qvd_call* raw, Body&& body) noexcept {
    Call call(raw);
    try {
        qvd_status status = QVD_OK;
        using Returned = decltype(body(call));
        if constexpr (std::is_void_v<Returned>)
            body(call);
        else if constexpr (std::is_same_v<Returned, Answer>)
            status = status_of(body(call));
        else
            status = body(call);
        return call.deferred() ? QVD_PENDING : status;
    } catch (const Failure& e) {
        return failed(call, e.status(), e.what());
    } catch (const std::exception& e) {
        return failed(call, QVD_INTERNAL, e.what());
    } catch (...) {
        return failed(call, QVD_INTERNAL, "an exception of an unknown type");
    }
}

// What every table starts with. Instances cross as pointers to the abstract class.
template <class Face, class T>
struct Lifetime {
    static qvd_status create(const qvd_core* core, qvd_call* raw, void** self) noexcept {
        return guarded(raw, [&](Call&) {
            std::unique_ptr<Face> made;
            if constexpr (std::is_constructible_v<T, const Core&>)
                made = std::make_unique<T>(Core(core));
            else
                made = std::make_unique<T>();
            *self = made.release();
        });
    }
    static void destroy(void* self) noexcept { delete static_cast<Face*>(self); }
    static void cancel(void* self, std::uint64_t call_id) noexcept {
        try {
            static_cast<Face*>(self)->cancel(call_id);
        } catch (...) {  // cancelling is a wish: the call ends by its deadline
        }
    }
};

// Whether T overrides a virtual function of Face, told from the types of &T::f and &Face::f.
template <class OfT, class OfFace>
inline constexpr bool overrides = !std::is_same_v<OfT, OfFace>;

}  // namespace detail

// The interface that T implements; name the abstract class too if T implements several.
template <class T, class Face = T>
constexpr qvd_interface provides() noexcept {
    return Face::template Table<T>::entry();
}

// One configuration key, for QVD_PLUGIN_WITH_KEYS.
constexpr qvd_config_key key(const char* name, qvd_key_type type, const char* default_value,
                             const char* meaning, const char* allowed = nullptr,
                             std::uint32_t flags = 0) noexcept {
    return {sizeof(qvd_config_key), flags, type, 0, name, default_value, meaning, allowed};
}

}  // namespace qvd::sdk

// The table slot of a virtual function: its entry if T overrides it, null otherwise.
#define QVD_SDK_SLOT(T, Face, function, entry)                                                  \
    (::qvd::sdk::detail::overrides<decltype(&T::function), decltype(&Face::function)> ? (entry) \
                                                                                      : nullptr)

// Exports a plugin: its name, version, one sentence, SPDX license, an array of keys, and what it
// provides, e.g. qvd::sdk::provides<Random>().
#define QVD_PLUGIN_WITH_KEYS(name_, version_, summary_, license_, keys_, ...) \
    extern "C" QVD_EXPORT const qvd_plugin* qvd_plugin_v1(void) {             \
        static constexpr qvd_interface interfaces[] = {__VA_ARGS__};          \
        static constexpr qvd_plugin plugin = {sizeof(qvd_plugin),             \
                                              QVD_ABI_MAJOR,                  \
                                              QVD_ABI_MINOR,                  \
                                              QVD_ABI_DRAFT,                  \
                                              0,                              \
                                              0,                              \
                                              name_,                          \
                                              version_,                       \
                                              summary_,                       \
                                              license_,                       \
                                              QVD_ARRAY(interfaces),          \
                                              QVD_ARRAY(keys_)};              \
        return &plugin;                                                       \
    }
#define QVD_PLUGIN(name_, version_, summary_, license_, ...)         \
    extern "C" QVD_EXPORT const qvd_plugin* qvd_plugin_v1(void) {    \
        static constexpr qvd_interface interfaces[] = {__VA_ARGS__}; \
        static constexpr qvd_plugin plugin = {sizeof(qvd_plugin),    \
                                              QVD_ABI_MAJOR,         \
                                              QVD_ABI_MINOR,         \
                                              QVD_ABI_DRAFT,         \
                                              0,                     \
                                              0,                     \
                                              name_,                 \
                                              version_,              \
                                              summary_,              \
                                              license_,              \
                                              QVD_ARRAY(interfaces), \
                                              QVD_NO_ARRAY};         \
        return &plugin;                                              \
    }
