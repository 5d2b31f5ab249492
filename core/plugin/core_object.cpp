#include "plugin/core_object.hpp"

#include "plugin/lane.hpp"
#include "plugin/processes.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <condition_variable>

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

constexpr std::string_view core_version = QVD_VERSION;

void log_line(const qvd_core* core, std::int32_t level, qvd_str line) {
    const CoreObject& object = CoreObject::of(core);
    const std::string_view text{
        line.data == nullptr ? "" : line.data,
        line.data == nullptr ? 0 : std::min<std::size_t>(line.length, 4096)};
    log::write(level_of(level), "plugin.says",
               {{"plugin", object.manifest().name}, {"instance", object.instance()}}, text);
}

qvd_status config_value(const qvd_core* core, const char* key, qvd_str* value) {
    if (key == nullptr || value == nullptr) return QVD_INVALID;
    const std::string* text = CoreObject::of(core).setting(key);
    if (text == nullptr) {
        log::warn(
            "plugin.misbehaves", {{"plugin", CoreObject::of(core).manifest().name}},
            std::string("asks for the configuration key ") + key + ", which it does not declare");
        return QVD_INVALID;
    }
    *value = raw(*text);
    return QVD_OK;
}

const void* service(const qvd_core* core, const char* id) {
    return id == nullptr ? nullptr : find_service(CoreObject::of(core), id);
}

}  // namespace

log::Level level_of(std::int32_t level) {
    switch (level) {
        case QVD_LOG_DEBUG:
            return log::Level::debug;
        case QVD_LOG_WARNING:
            return log::Level::warn;
        case QVD_LOG_ERROR:
            return log::Level::error;
        default:
            return log::Level::info;
    }
}

CoreObject::CoreObject(Host& host, const Manifest& manifest, const config::View& view,
                       std::string instance, std::shared_ptr<Lane> lane)
    : host_(host), manifest_(manifest), instance_(std::move(instance)), lane_(std::move(lane)) {
    for (const config::Declaration& key : manifest.keys) {
        auto value = view.text(key.name);
        if (!value) value = key.fallback;
        settings_[key.name] = value.value_or("");
    }
    raw_.owner = this;
    raw_.core.size = sizeof raw_.core;
    raw_.core.abi_major = QVD_ABI_MAJOR;
    raw_.core.abi_minor = QVD_ABI_MINOR;
    raw_.core.draft = QVD_ABI_DRAFT;
    raw_.core.version = {core_version.data(), core_version.size()};
    raw_.core.instance = plugin::raw(instance_);
    raw_.core.log = &log_line;
    raw_.core.config = &config_value;
    raw_.core.service = &service;
}

CoreObject::~CoreObject() {
    close();
    constexpr Milliseconds grace{5000};
    for (const std::string& label : processes_to_end_)
        (void)host_.processes->stop(manifest_.name, label, grace);
    if (!snapshots_.empty())
        log::warn("plugin.misbehaves", {{"plugin", manifest_.name}},
                  "kept " + std::to_string(snapshots_.size()) + " snapshots beyond its end");
}

CoreObject& CoreObject::of(const qvd_core* core) {
    return *reinterpret_cast<const Raw*>(core)->owner;  // NOLINT: a Raw's first member
}

const std::string* CoreObject::setting(std::string_view key) const {
    const auto found = settings_.find(key);
    return found == settings_.end() ? nullptr : &found->second;
}

const config::Declaration* CoreObject::declaration(std::string_view key) const {
    const auto found = std::ranges::find(manifest_.keys, key, &config::Declaration::name);
    return found == manifest_.keys.end() ? nullptr : &*found;
}

void CoreObject::end_with_core(std::string label) {
    const std::scoped_lock lock(mutex_);
    processes_to_end_.push_back(std::move(label));
}

CoreObject::Caller CoreObject::caller(std::string what) const {
    return [lane = lane_, gate = gate_, plugin = manifest_.name,
            what = std::move(what)](std::function<void()> callback) {
        lane->post([gate, plugin, what, callback = std::move(callback)] {
            const std::shared_lock lock(gate->mutex);
            if (gate->open) guarded(plugin, what, callback);
        });
    };
}

void CoreObject::close() {
    cancel_timers();
    const std::scoped_lock lock(gate_->mutex);
    gate_->open = false;
}

// One-shot. The pool may still run what belongs to it when its CoreObject is gone: that touches
// nothing but this.
struct CoreObject::Timer {
    explicit Timer(asio::thread_pool& workers) : timer(workers.get_executor()) {}

    asio::steady_timer timer;
    std::mutex mutex;  // guards over; held while fire() runs, so that cancel() waits for it
    bool over = false;
};

std::uint64_t CoreObject::start_timer(Milliseconds delay, void (*fire)(void*), void* data) {
    auto timer = std::make_shared<Timer>(host_.workers());
    timer->timer.expires_after(delay);
    const std::scoped_lock lock(mutex_);
    const std::uint64_t id = ++last_timer_;
    timers_[id] = timer;
    const auto run = [this, timer, id, fire, data] {
        const std::scoped_lock running(timer->mutex);
        if (timer->over) return;
        guarded(manifest_.name, "a timer", [&] { fire(data); });
        timer->over = true;
        const std::scoped_lock own(mutex_);
        timers_.erase(id);
    };
    timer->timer.async_wait([lane = lane_, run](const boost::system::error_code& problem) {
        if (!problem) lane->post(run);
    });
    return id;
}

void CoreObject::cancel_timer(std::uint64_t timer) {
    std::shared_ptr<Timer> found;
    {
        const std::scoped_lock lock(mutex_);
        const auto known = timers_.find(timer);
        if (known == timers_.end()) return;
        found = known->second;
    }
    const std::scoped_lock running(found->mutex);
    found->over = true;
    asio::post(found->timer.get_executor(), [found] { found->timer.cancel(); });
    const std::scoped_lock lock(mutex_);
    timers_.erase(timer);
}

void CoreObject::cancel_timers() {
    std::vector<std::uint64_t> left;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [id, timer] : timers_) left.push_back(id);
    }
    for (const std::uint64_t id : left) cancel_timer(id);
}

const qvd_snapshot* CoreObject::take_snapshot() {
    auto inventory = host_.inventory();
    const qvd_snapshot* snapshot = &inventory->snapshot();
    const std::scoped_lock lock(mutex_);
    snapshots_.emplace(snapshot, std::move(inventory));
    return snapshot;
}

void CoreObject::give_back(const qvd_snapshot* snapshot) {
    const std::scoped_lock lock(mutex_);
    if (const auto found = snapshots_.find(snapshot); found != snapshots_.end())
        snapshots_.erase(found);
}

}  // namespace qvd::plugin
