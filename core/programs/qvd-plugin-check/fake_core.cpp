#include "fake_core.hpp"

#include "config/key.hpp"

#include <chrono>
#include <utility>

namespace qvd::check {

namespace {

std::string text_of(qvd_str text) {
    return text.data == nullptr ? std::string{} : std::string(text.data, text.length);
}

void log_line(const qvd_core* /*core*/, std::int32_t /*level*/, qvd_str /*line*/) {
}

qvd_status config_value(const qvd_core* core, const char* key, qvd_str* value) {
    if (key == nullptr || value == nullptr) return QVD_INVALID;
    FakeCore& fake = FakeCore::of(core);
    const std::string* const text = fake.setting(key);
    if (text == nullptr) {
        fake.complain(std::string("reads the configuration key ") + key +
                      ", which it does not declare in its manifest");
        return QVD_INVALID;
    }
    *value = {text->c_str(), text->size()};
    return QVD_OK;
}

const void* find_service(const qvd_core* core, const char* id) {
    return id == nullptr ? nullptr : FakeCore::of(core).service(id);
}

// ---- services ----

qvd_status get_text(const qvd_core* core, qvd_str key, qvd_str* value) {
    return config_value(core, text_of(key).c_str(), value);
}

qvd_status get_number(const qvd_core* core, qvd_str key, double* value) {
    qvd_str text{};
    const qvd_status status = get_text(core, key, &text);
    if (status != QVD_OK) return status;
    const std::string written = text_of(text);
    if (written.empty()) return QVD_NOT_FOUND;
    if (const auto number = config::to_decimal(written)) {
        *value = *number;
    } else if (const auto time = config::to_number(config::Kind::seconds, written)) {
        *value = static_cast<double>(*time) / 1000;
    } else if (const auto truth = config::to_boolean(written)) {
        *value = *truth ? 1 : 0;
    } else {
        return QVD_INVALID;
    }
    return QVD_OK;
}

qvd_status get_integer(const qvd_core* core, qvd_str key, std::int64_t* value) {
    double number = 0;
    const qvd_status status = get_number(core, key, &number);
    if (status == QVD_OK) *value = static_cast<std::int64_t>(number);
    return status;
}

qvd_status timer_after(const qvd_core* /*core*/, std::int64_t delay_ms, void (*fire)(void*),
                       void* /*data*/, std::uint64_t* timer) {
    static std::atomic<std::uint64_t> last{0};
    if (fire == nullptr || timer == nullptr || delay_ms < 0) return QVD_INVALID;
    *timer = ++last;
    return QVD_OK;
}

qvd_status define_metric(const qvd_core* core, qvd_metric_type /*type*/, qvd_str /*name*/,
                         qvd_str /*meaning*/, std::uint32_t* metric) {
    static std::atomic<std::uint32_t> last{0};
    FakeCore& fake = FakeCore::of(core);
    if (!fake.creating()) {
        fake.complain("defines a metric after create()");
        return QVD_INVALID;
    }
    *metric = last++;
    return QVD_OK;
}

// What waits for the database must not be called in create(), destroy() and [loop] functions: the
// only ones that are called here.
qvd_status waits(const qvd_core* core) {
    FakeCore::of(core).complain(
        "calls a service that waits for the database from create(), destroy() or a [loop] "
        "function");
    return QVD_INVALID;
}

const qvd_log_service log_service{
    sizeof(qvd_log_service), 0, [](const qvd_core*, std::int32_t) -> std::int32_t { return 0; },
    [](const qvd_core*, const qvd_call*, std::int32_t, qvd_str, qvd_str) {}};
const qvd_configuration_service configuration_service{sizeof(qvd_configuration_service), 0,
                                                      &get_text, &get_integer, &get_number};
const qvd_timers_service timers_service{sizeof(qvd_timers_service), 0, &timer_after,
                                        [](const qvd_core*, std::uint64_t) {}};
const qvd_inventory_service inventory_service{
    sizeof(qvd_inventory_service), 0,
    [](const qvd_core* core) { return FakeCore::of(core).take_snapshot(); },
    [](const qvd_core* core, const qvd_snapshot* snapshot) {
        FakeCore::of(core).give_back(snapshot);
    }};
const qvd_metrics_service metrics_service{sizeof(qvd_metrics_service), 0, &define_metric,
                                          [](const qvd_core*, std::uint32_t, std::int64_t) {},
                                          [](const qvd_core*, std::uint32_t, std::int64_t) {}};
const qvd_provisioning_service provisioning_service{
    sizeof(qvd_provisioning_service),
    0,
    [](const qvd_core* c, const qvd_call*, qvd_str, const qvd_sink*) { return waits(c); },
    [](const qvd_core* c, const qvd_call*, qvd_str, const qvd_sink*) { return waits(c); },
    [](const qvd_core* c, const qvd_call*, std::uint64_t, qvd_str, const qvd_sink*) {
        return waits(c);
    },
    [](const qvd_core* c, const qvd_call*, std::uint64_t, std::uint64_t, const qvd_sink*) {
        return waits(c);
    },
    [](const qvd_core* c, const qvd_call*, const qvd_vm_order*, const qvd_sink*) {
        return waits(c);
    }};
const qvd_accounts_service accounts_service{sizeof(qvd_accounts_service), 0,
                                            [](const qvd_core* c, const qvd_call*, qvd_str,
                                               qvd_secret, const qvd_sink*) { return waits(c); }};
const qvd_properties_service properties_service{
    sizeof(qvd_properties_service), 0,
    [](const qvd_core* c, const qvd_call*, qvd_scope, std::uint64_t, qvd_str, const qvd_sink*) {
        return waits(c);
    },
    [](const qvd_core* c, const qvd_call*, qvd_scope, std::uint64_t, const qvd_sink*) {
        return waits(c);
    },
    [](const qvd_core* c, const qvd_call*, qvd_scope, std::uint64_t, qvd_str, qvd_str,
       const qvd_sink*) { return waits(c); }};
const qvd_processes_service processes_service{
    sizeof(qvd_processes_service),
    0,
    [](const qvd_core*, const qvd_call*, const qvd_process_order*, const qvd_sink*) -> qvd_status {
        return QVD_UNAVAILABLE;
    },
    [](const qvd_core*, const qvd_call*, const qvd_sink*) -> qvd_status { return QVD_OK; },
    [](const qvd_core*, const qvd_call*, const qvd_process*, void (*)(void*, const qvd_process*),
       void*, const qvd_sink*) -> qvd_status { return QVD_NOT_FOUND; },
    [](const qvd_core*, qvd_str, std::int32_t) -> qvd_status { return QVD_NOT_FOUND; },
    [](const qvd_core*, qvd_str, std::int64_t) -> qvd_status { return QVD_NOT_FOUND; }};
const qvd_vm_events_service vm_events_service{sizeof(qvd_vm_events_service), 0,
                                              [](const qvd_core*, const qvd_vm_status*) {}};

const std::map<std::string, const void*, std::less<>>& tables() {
    static const std::map<std::string, const void*, std::less<>> all{
        {QVD_CORE_LOG, &log_service},
        {QVD_CORE_CONFIGURATION, &configuration_service},
        {QVD_CORE_TIMERS, &timers_service},
        {QVD_CORE_INVENTORY, &inventory_service},
        {QVD_CORE_PROVISIONING, &provisioning_service},
        {QVD_CORE_ACCOUNTS, &accounts_service},
        {QVD_CORE_PROPERTIES, &properties_service},
        {QVD_CORE_METRICS, &metrics_service},
        {QVD_CORE_PROCESSES, &processes_service},
        {QVD_CORE_VM_EVENTS, &vm_events_service}};
    return all;
}

constexpr char unlike_anything = '\xA5';

}  // namespace

FakeCore::FakeCore(Settings settings, std::set<std::string> missing_services, bool later)
    : settings_(std::move(settings)), missing_(std::move(missing_services)) {
    raw_.owner = this;
    qvd_core& core = raw_.core;
    core.size = sizeof core;
    core.abi_major = QVD_ABI_MAJOR;
    core.abi_minor = QVD_ABI_MINOR;
    core.draft = QVD_ABI_DRAFT;
    core.version = {"0.0-check", 9};
    core.instance = {"check", 5};
    core.log = &log_line;
    core.config = &config_value;
    core.service = &find_service;
    snapshot_.size = sizeof snapshot_;
    snapshot_.nodes = {nullptr, 0, sizeof(qvd_node)};
    snapshot_.vms = {nullptr, 0, sizeof(qvd_vm_entry)};
    if (!later) return;
    core.size += sizeof raw_.later;
    core.abi_minor += 5;
    raw_.later.fill(unlike_anything);
}

FakeCore& FakeCore::of(const qvd_core* core) {
    return *reinterpret_cast<const Raw*>(core)->owner;  // NOLINT: a Raw's first member
}

std::vector<std::string> FakeCore::take_complaints() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(complaints_, {});
}

void FakeCore::complain(std::string what) {
    const std::scoped_lock lock(mutex_);
    complaints_.push_back(std::move(what));
}

const std::string* FakeCore::setting(std::string_view key) const {
    const auto found = settings_.find(key);
    return found == settings_.end() ? nullptr : &found->second;
}

const void* FakeCore::service(std::string_view id) const {
    if (missing_.contains(std::string(id))) return nullptr;
    const auto found = tables().find(id);
    return found == tables().end() ? nullptr : found->second;
}

const qvd_snapshot* FakeCore::take_snapshot() {
    ++snapshots_out_;
    return &snapshot_;
}

void FakeCore::give_back(const qvd_snapshot* snapshot) {
    if (snapshot != &snapshot_) complain("gives back a snapshot that it never took");
    --snapshots_out_;
}

FakeCall& FakeCall::of(const qvd_call* call) {
    return *reinterpret_cast<const Raw*>(call)->owner;  // NOLINT: a Raw's first member
}

FakeCall::FakeCall(bool later) {
    static std::atomic<std::uint64_t> last{0};
    raw_.owner = this;
    qvd_call& call = raw_.call;
    call.size = sizeof call + (later ? sizeof raw_.later : 0);
    raw_.later.fill(unlike_anything);
    call.id = ++last;
    call.trace_id = {"check", 5};
    call.remaining_ms = [](const qvd_call*) -> std::int64_t { return 1000; };
    call.fail = [](qvd_call* self, qvd_str sentence) {
        const std::scoped_lock lock(of(self).mutex_);
        of(self).sentence_ = text_of(sentence);
    };
    call.progress = [](qvd_call*, std::int32_t, qvd_str) {};
    call.put = [](qvd_call*, qvd_str, qvd_str) {};
    call.result = [](qvd_call* self, std::uint32_t kind, const void* record) {
        if (kind != QVD_KIND_CHOICE || record == nullptr) return;
        const auto& choice = *static_cast<const qvd_choice*>(record);
        const std::scoped_lock lock(of(self).mutex_);
        if (QVD_HAS(qvd_choice, &choice, index)) of(self).choice_ = choice.index;
    };
    call.complete = [](qvd_call* self, qvd_status status) {
        const std::scoped_lock lock(of(self).mutex_);
        ++of(self).completions_;
        if (!of(self).completed_) of(self).completed_ = status;
        of(self).ended_.notify_all();
    };
}

std::optional<qvd_status> FakeCall::end(qvd_status returned, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    if (returned != QVD_PENDING) return returned;
    ended_.wait_for(lock, limit, [this] { return completed_.has_value(); });
    return completed_;
}

std::string FakeCall::sentence() const {
    const std::scoped_lock lock(mutex_);
    return sentence_;
}

std::optional<std::uint64_t> FakeCall::choice() const {
    const std::scoped_lock lock(mutex_);
    return choice_;
}

int FakeCall::completions() const {
    const std::scoped_lock lock(mutex_);
    return completions_;
}

}  // namespace qvd::check
