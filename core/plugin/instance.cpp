#include "plugin/instance.hpp"

#include <algorithm>
#include <deque>
#include <mutex>
#include <utility>

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

// The configuration with the keys of this plugin, also where its role was not told of them: each
// of its values is of its type. What the database says wrongly is a warning there, as everywhere.
Result<config::View> view_for(const config::View& view, const Manifest& manifest) {
    auto keys = std::make_shared<config::KeySet>(view.keys());
    QVD_CHECK(keys->declare(manifest.keys));
    config::View wider = view.with_keys(std::move(keys));
    for (const config::Finding& finding : wider.findings()) {
        if (std::ranges::find(manifest.keys, finding.key, &config::Declaration::name) ==
            manifest.keys.end())
            continue;
        if (finding.severity == config::Finding::Severity::error)
            return Error{ErrorKind::invalid, "plugin.config", finding.text()};
        log::warn("config.finding", {{"key", finding.key}}, finding.text());
    }
    return wider;
}

// What the type alone does not say: a required key has a value, and a value that is set by the name
// of one of the core's keys also does as the plugin declares it.
Result<void> check_settings(const CoreObject& core) {
    for (const config::Declaration& key : core.manifest().keys) {
        const std::string* const value = core.setting(key.name);
        if (value == nullptr || value->empty()) {
            if (!key.has(config::required)) continue;
            return Error{ErrorKind::invalid, "plugin.config",
                         "the plugin " + core.manifest().name + " needs the key " + key.name +
                             ", which is not set: " + key.meaning};
        }
        if (const auto checked = config::check_value(key, *value); !checked.ok())
            return Error{ErrorKind::invalid, "plugin.config", checked.error().sentence()};
    }
    return {};
}

// What a plugin may use until the process ends, and what it made: never destroyed.
void keep_for_good(std::unique_ptr<CoreObject> core, void* self) {
    static std::mutex mutex;
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): behind the mutex
    static auto* const kept = new std::deque<std::pair<std::unique_ptr<CoreObject>, void*>>;
    const std::scoped_lock lock(mutex);
    kept->emplace_back(std::move(core), self);
}

}  // namespace

Instance::Instance(Host& host, std::shared_ptr<const Library> library,
                   const qvd_interface_head* table, const config::View& view, std::string name,
                   std::shared_ptr<Lane> lane)
    : host_(host),
      endings_(host.endings()),
      library_(std::move(library)),
      table_(table),
      lane_(std::move(lane)),
      core_(
          std::make_unique<CoreObject>(host, library_->manifest(), view, std::move(name), lane_)) {
}

Result<std::shared_ptr<Instance>> Instance::make(Host& host, std::shared_ptr<const Library> library,
                                                 std::string_view interface, std::string name,
                                                 std::shared_ptr<Lane> lane) {
    const qvd_interface_head* table = find_interface(library->plugin(), interface);
    if (table == nullptr)
        return Error{
            ErrorKind::invalid, "plugin.interface",
            "the plugin " + library->manifest().name + " offers no " + std::string(interface)};
    QVD_TRY(const config::View view, view_for(host.view(), library->manifest()));
    std::shared_ptr<Instance> instance(
        new Instance(host, std::move(library), table, view, std::move(name), std::move(lane)));
    QVD_CHECK(check_settings(*instance->core_));
    // Of the heap, so that a plugin that wrongly answers "pending" writes into no dead frame.
    const auto self = std::make_shared<void*>(nullptr);
    CallOptions options;
    options.function = "create";
    const auto call =
        std::make_shared<Call>(host.loop(), instance->manifest().name, options,
                               [self, table, core = instance->core_->raw()](qvd_call* raw) {
                                   return table->create(core, raw, self.get());
                               });
    instance->lane_->alone([&call] { call->run(); });
    instance->core_->creating = false;
    if (!call->ended()) {
        // It may still use its core, whenever it completes: that stays.
        keep_for_good(std::move(instance->core_), nullptr);
        return Error{ErrorKind::internal, "plugin.create",
                     "the plugin " + call->plugin() +
                         " answered \"pending\" to create(), which it must not"};
    }
    const Outcome outcome = call->ended_outcome();
    if (outcome.status != QVD_OK) return to_error(outcome, "plugin.create", instance->name());
    instance->self_ = *self;
    instance->created_ = true;
    return instance;
}

Instance::~Instance() {
    if (!created_) return;
    // Once the host is gone the process ends: there is no thread left to end a plugin on.
    if (!endings_->begin()) {
        keep_for_good(std::move(core_), self_);
        return;
    }
    lane_->post([core = std::shared_ptr<CoreObject>(std::move(core_)), library = library_,
                 table = table_, self = self_, endings = endings_]() mutable {
        core->close();
        guarded(library->manifest().name, "destroy()", [&] { table->destroy(self); });
        core.reset();
        endings->done();
    });
}

std::shared_ptr<Call> Instance::new_call(CallOptions options, Call::Function function) {
    auto call =
        std::make_shared<Call>(host_.loop(), manifest().name, std::move(options),
                               [instance = shared_from_this(), function = std::move(function)](
                                   qvd_call* raw) { return function(raw); });
    host_.watch(call);
    return call;
}

asio::awaitable<Outcome> Instance::call(CallOptions options, Call::Function function) {
    const bool bulk = options.bulk;
    auto call = new_call(std::move(options), std::move(function));
    lane_->post([call] { call->run(); }, bulk);
    co_return co_await finish(std::move(call));
}

asio::awaitable<Outcome> Instance::call_quick(CallOptions options, Call::Function function) {
    auto call = new_call(std::move(options), std::move(function));
    lane_->post_quick([call] { call->run(); });
    co_return co_await finish(std::move(call));
}

// Leaves finish() by the outcome, by the deadline, or because who waited was cancelled. Not a class
// of that function's own: g++ 12 destroys those of a coroutine twice.
class Instance::Watch {
public:
    Watch(Instance& of, Call& watched) : instance_(of), call_(watched) {}
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch() {
        if (!call_.ended()) instance_.give_up(call_);
    }

private:
    Instance& instance_;
    Call& call_;
};

asio::awaitable<Outcome> Instance::finish(std::shared_ptr<Call> call) {
    const auto alive = shared_from_this();
    const Watch watch(*this, *call);
    Outcome outcome = co_await call->outcome();
    if (outcome.timed_out)
        log::warn("plugin.late", {{"plugin", manifest().name}, {"trace", call->trace()}},
                  outcome.sentence);
    co_return outcome;
}

void Instance::give_up(Call& call) {
    call.abandon();
    if (table_->cancel == nullptr) return;
    guarded(manifest().name, "cancel()", [&] { table_->cancel(self_, call.id()); });
}

}  // namespace qvd::plugin
