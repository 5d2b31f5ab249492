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

CoreObject::CoreObject(Host& host, const Manifest& manifest, std::string instance,
                       std::shared_ptr<Lane> lane)
    : host_(host), manifest_(manifest), instance_(std::move(instance)), lane_(std::move(lane)) {
    const config::View view = host.view();
    for (const config::Declaration& key : manifest.keys) {
        const bool known = view.keys().find(key.name) != nullptr;
        const auto value = known ? view.text(key.name) : key.fallback;
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
    cancel_timers();
    constexpr Milliseconds grace{5000};
    for (const std::string& label : processes_to_end)
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

// One-shot; `done` once it has fired or never will.
struct CoreObject::Timer {
    explicit Timer(asio::thread_pool& workers) : timer(workers.get_executor()) {}

    asio::steady_timer timer;
    std::mutex mutex;  // guards cancelled; held while fire() runs, so that cancel() waits for it
    bool cancelled = false;
};

std::uint64_t CoreObject::start_timer(Milliseconds delay, void (*fire)(void*), void* data) {
    auto timer = std::make_shared<Timer>(host_.workers());
    std::uint64_t id = 0;
    {
        const std::scoped_lock lock(mutex_);
        id = ++last_timer_;
        timers_[id] = timer;
    }
    timer->timer.expires_after(delay);
    timer->timer.async_wait(
        [this, timer, id, fire, data](const boost::system::error_code& problem) {
            if (problem) return;
            {
                const std::scoped_lock lock(timer->mutex);
                if (timer->cancelled) return;
            }
            lane_->post([this, timer, id, fire, data] {
                const std::scoped_lock lock(timer->mutex);
                if (timer->cancelled) return;
                fire(data);
                timer->cancelled = true;
                const std::scoped_lock own(mutex_);
                timers_.erase(id);
            });
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
        timers_.erase(known);
    }
    const std::scoped_lock lock(found->mutex);
    found->cancelled = true;
    asio::post(found->timer.get_executor(), [found] { found->timer.cancel(); });
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
