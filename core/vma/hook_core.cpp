#include "vma/hook_core.hpp"

#include "plugin/manifest.hpp"

#include <cstring>

namespace qvd::vma {

namespace {

constexpr const char* core_version = QVD_VERSION;

std::string text_of(qvd_str text) {
    return text.length == 0 || text.data == nullptr ? std::string{}
                                                    : std::string(text.data, text.length);
}

}  // namespace

HookCall::HookCall(Milliseconds limit) : qvd_call{}, deadline_(Deadline::in(clock_, limit)) {
    static std::uint64_t last_id = 0;
    size = sizeof(qvd_call);
    id = ++last_id;
    trace_id = {"", 0};
    remaining_ms = [](const qvd_call* call) {
        return static_cast<std::int64_t>(self(call).deadline_.remaining().count());
    };
    // NOLINTBEGIN(readability-named-parameter,cppcoreguidelines-*): the members' fixed shape
    qvd_call::fail = [](qvd_call* call, qvd_str sentence) {
        const std::scoped_lock lock(self(call).mutex_);
        self(call).sentence_ = text_of(sentence).substr(0, 1024);
    };
    progress = [](qvd_call*, std::int32_t, qvd_str) {};  // nobody here shows it
    put = [](qvd_call* call, qvd_str key, qvd_str value) {
        const std::scoped_lock lock(self(call).mutex_);
        if (self(call).results_.size() < 256)
            self(call).results_["put." + text_of(key)] = text_of(value);
    };
    result = [](qvd_call*, std::uint32_t, const void*) {};  // no hook hands back records
    complete = [](qvd_call* call, qvd_status status) {
        const std::scoped_lock lock(self(call).mutex_);
        self(call).completed_ = status;
        self(call).changed_.notify_all();
    };
    // NOLINTEND(readability-named-parameter,cppcoreguidelines-*)
}

HookCall& HookCall::self(const qvd_call* call) {
    // Every call that a plugin has is one of these.
    return const_cast<HookCall&>(static_cast<const HookCall&>(*call));  // NOLINT
}

qvd_status HookCall::await_completion() {
    std::unique_lock lock(mutex_);
    // No limit: past the deadline the agent ends this process.
    changed_.wait(lock, [this] { return completed_.has_value(); });
    return *completed_;
}

std::string HookCall::sentence() const {
    const std::scoped_lock lock(mutex_);
    return sentence_;
}

Packet HookCall::take_results() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(results_, {});
}

HookCore::HookCore(std::string plugin, Send send)
    : plugin_(std::move(plugin)), send_(std::move(send)) {
    timers_service_ = {sizeof timers_service_, 0, after, cancel};
    table_.owner = this;
    table_.size = sizeof(qvd_core);
    table_.abi_major = QVD_ABI_MAJOR;
    table_.abi_minor = QVD_ABI_MINOR;
    table_.draft = QVD_ABI_DRAFT;
    table_.version = qvd_text(core_version);
    table_.instance = {plugin_.c_str(), plugin_.size()};
    table_.log = [](const qvd_core* core, std::int32_t level, qvd_str line) {
        self(core).send_({{"log", "1"},
                          {"level", std::to_string(level)},
                          {"line", text_of(line).substr(0, 4096)}});
    };
    table_.config = [](const qvd_core* core, const char* key, qvd_str* value) -> qvd_status {
        const auto found = self(core).values_.find(std::string_view(key));
        if (found == self(core).values_.end()) return QVD_INVALID;
        *value = {found->second.c_str(), found->second.size()};
        return QVD_OK;
    };
    table_.service = [](const qvd_core* core, const char* id) -> const void* {
        return std::string_view(id) == QVD_CORE_TIMERS ? &self(core).timers_service_ : nullptr;
    };
}

HookCore& HookCore::self(const qvd_core* core) {
    return *static_cast<const Table*>(core)->owner;  // NOLINT: every core here is one of these
}

Result<void> HookCore::configure(const qvd_plugin& manifest, const config::Properties& file) {
    auto keys = std::make_shared<config::KeySet>(*key_set());
    const auto declared = plugin::read_keys(manifest);
    Result<void> taken = declared.ok() ? keys->declare(*declared) : declared.error();
    if (!taken.ok())
        return Error{ErrorKind::invalid, "plugin.load",
                     "plugin " + plugin_ + ": " + taken.error().sentence()};
    const config::View view(keys, file);
    QVD_CHECK(view.check());
    for (const std::string& name : view.missing())
        return Error{ErrorKind::invalid, "plugin.load",
                     "plugin " + plugin_ + " needs the key " + name + " in vma.conf"};
    for (const config::Declaration& key : *declared)
        values_[key.name] = view.text(key.name).value_or("");
    return {};
}

qvd_status HookCore::run(const std::function<qvd_status()>& call) {
    const std::scoped_lock lock(serial_);
    return call();
}

qvd_status HookCore::after(const qvd_core* core, int64_t delay_ms, void (*fire)(void*), void* data,
                           uint64_t* timer) {
    HookCore& owner = self(core);
    if (fire == nullptr || timer == nullptr) return QVD_INVALID;
    const std::scoped_lock lock(owner.timers_mutex_);
    *timer = ++owner.last_timer_;
    const Milliseconds delay{std::max<std::int64_t>(delay_ms, 0)};
    owner.timers_[*timer] = {SteadyClock{}.now() + delay, fire, data};
    if (!owner.timer_thread_) owner.timer_thread_.emplace([&owner] { owner.run_timers(); });
    owner.timers_changed_.notify_all();
    return QVD_OK;
}

void HookCore::cancel(const qvd_core* core, uint64_t timer) {
    HookCore& owner = self(core);
    // While it is held no timer fires; one that is firing on another thread is waited for.
    const std::scoped_lock serial(owner.serial_);
    const std::scoped_lock lock(owner.timers_mutex_);
    owner.timers_.erase(timer);
}

void HookCore::run_timers() {
    for (;;) {
        std::uint64_t due = 0;
        {
            std::unique_lock lock(timers_mutex_);
            auto next = timers_.end();
            for (auto timer = timers_.begin(); timer != timers_.end(); ++timer)
                if (next == timers_.end() || timer->second.at < next->second.at) next = timer;
            if (next == timers_.end()) {
                timers_changed_.wait(lock);
                continue;
            }
            if (next->second.at > SteadyClock{}.now()) {
                timers_changed_.wait_until(lock, next->second.at);
                continue;
            }
            due = next->first;
        }
        const std::scoped_lock serial(serial_);
        std::unique_lock lock(timers_mutex_);
        const auto found = timers_.find(due);
        if (found == timers_.end()) continue;  // cancelled meanwhile
        const Timer timer = found->second;
        timers_.erase(found);
        lock.unlock();
        timer.fire(timer.data);
    }
}

}  // namespace qvd::vma
