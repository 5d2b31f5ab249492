// Services that need nothing but this process: log, configuration, timers, inventory, metrics,
// and what a backend reports of its VMs.
#include "base/text.hpp"
#include "plugin/lane.hpp"
#include "plugin/lent_vm.hpp"
#include "plugin/service_tables.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <array>

namespace qvd::plugin {

namespace {

std::int32_t log_enabled(const qvd_core* /*core*/, std::int32_t level) {
    return log::enabled(level_of(level)) ? 1 : 0;
}

// "ldap.slow"; anything else could pass for other fields of the line.
bool is_event(std::string_view name) {
    return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
    });
}

void log_write(const qvd_core* core, const qvd_call* on_behalf, std::int32_t level, qvd_str event,
               qvd_str line) {
    const CoreObject& object = CoreObject::of(core);
    const Call* call = Call::of(on_behalf);
    const std::string name = text_of(event);
    log::Fields fields{{"plugin", object.manifest().name}, {"instance", object.instance()}};
    if (call != nullptr && !call->trace().empty()) fields.emplace_back("trace", call->trace());
    log::write(level_of(level), is_event(name) ? name : "plugin.says", fields, text_of(line));
}

qvd_status get_text(const qvd_core* core, qvd_str key, qvd_str* value) {
    const std::string* text = CoreObject::of(core).setting(text_of(key));
    if (text == nullptr || value == nullptr) return QVD_INVALID;
    *value = raw(*text);
    return QVD_OK;
}

qvd_status get_integer(const qvd_core* core, qvd_str key, std::int64_t* value) {
    const CoreObject& object = CoreObject::of(core);
    const std::string name = text_of(key);
    const std::string* text = object.setting(name);
    const config::Declaration* declaration = object.declaration(name);
    if (text == nullptr || declaration == nullptr || value == nullptr) return QVD_INVALID;
    if (text->empty()) return QVD_NOT_FOUND;
    if (declaration->kind == config::Kind::boolean) {
        const auto truth = config::to_boolean(*text);
        if (!truth) return QVD_INVALID;
        *value = *truth ? 1 : 0;
        return QVD_OK;
    }
    auto number = config::to_number(declaration->kind, *text);
    if (number && declaration->kind == config::Kind::seconds) number = *number / 1000;
    if (!number) number = text::to_integer(*text);
    if (!number) return QVD_INVALID;
    *value = *number;
    return QVD_OK;
}

qvd_status get_number(const qvd_core* core, qvd_str key, double* value) {
    const std::string* text = CoreObject::of(core).setting(text_of(key));
    if (text == nullptr || value == nullptr) return QVD_INVALID;
    if (text->empty()) return QVD_NOT_FOUND;
    if (const auto number = config::to_decimal(*text)) {
        *value = *number;
        return QVD_OK;
    }
    std::int64_t whole = 0;
    const qvd_status status = get_integer(core, key, &whole);
    if (status == QVD_OK) *value = static_cast<double>(whole);
    return status;
}

qvd_status timer_after(const qvd_core* core, std::int64_t delay_ms, void (*fire)(void*), void* data,
                       std::uint64_t* timer) {
    if (fire == nullptr || timer == nullptr || delay_ms < 0) return QVD_INVALID;
    *timer = CoreObject::of(core).start_timer(Milliseconds{delay_ms}, fire, data);
    return QVD_OK;
}

void timer_cancel(const qvd_core* core, std::uint64_t timer) {
    CoreObject::of(core).cancel_timer(timer);
}

const qvd_snapshot* inventory_take(const qvd_core* core) {
    return CoreObject::of(core).take_snapshot();
}

void inventory_give_back(const qvd_core* core, const qvd_snapshot* snapshot) {
    CoreObject::of(core).give_back(snapshot);
}

qvd_status metric_define(const qvd_core* core, qvd_metric_type type, qvd_str name, qvd_str meaning,
                         std::uint32_t* metric) {
    CoreObject& object = CoreObject::of(core);
    if (!object.creating || metric == nullptr) return QVD_INVALID;
    const std::string text = text_of(name);
    const bool good = !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_';
    });
    if (!good) return QVD_INVALID;
    auto defined =
        object.host().define_metric(object.manifest().name + "." + text, text_of(meaning), type);
    if (!defined.ok()) return QVD_CONFLICT;
    object.metrics.push_back(std::move(defined).value());
    *metric = static_cast<std::uint32_t>(object.metrics.size() - 1);
    return QVD_OK;
}

void metric_add(const qvd_core* core, std::uint32_t metric, std::int64_t amount) {
    const auto& metrics = CoreObject::of(core).metrics;
    if (metric >= metrics.size() || (metrics[metric]->type == QVD_COUNTER && amount < 0)) return;
    metrics[metric]->value += amount;
}

void metric_set(const qvd_core* core, std::uint32_t metric, std::int64_t value) {
    const auto& metrics = CoreObject::of(core).metrics;
    if (metric < metrics.size() && metrics[metric]->type == QVD_GAUGE)
        metrics[metric]->value = value;
}

void report_vm(const qvd_core* core, const qvd_vm_status* status) {
    CoreObject& object = CoreObject::of(core);
    const auto record = copy_record<qvd_vm_status>(status, QVD_LEAST(qvd_vm_status, incarnation));
    if (!record || record->uuid.length == 0 || record->incarnation == 0) {
        log::warn("plugin.misbehaves", {{"plugin", object.manifest().name}},
                  "reported a VM without its uuid and incarnation");
        return;
    }
    Host& host = object.host();
    host.loop().post([&host, copy = vm_status(*record)] {
        if (host.on_vm_event) host.on_vm_event(copy);
    });
}

}  // namespace

const qvd_log_service log_service{sizeof(qvd_log_service), 0, &log_enabled, &log_write};
const qvd_configuration_service configuration_service{sizeof(qvd_configuration_service), 0,
                                                      &get_text, &get_integer, &get_number};
const qvd_timers_service timers_service{sizeof(qvd_timers_service), 0, &timer_after, &timer_cancel};
const qvd_inventory_service inventory_service{sizeof(qvd_inventory_service), 0, &inventory_take,
                                              &inventory_give_back};
const qvd_metrics_service metrics_service{sizeof(qvd_metrics_service), 0, &metric_define,
                                          &metric_add, &metric_set};
const qvd_vm_events_service vm_events_service{sizeof(qvd_vm_events_service), 0, &report_vm};

const void* find_service(CoreObject& core, std::string_view id) {
    struct Offer {
        std::string_view id;
        const void* table;
        bool is_there;
    };
    const Host& host = core.host();
    const bool stored = host.store() != nullptr;
    const bool runs_vms = host.runs_vms();
    const std::array<Offer, 10> offers{{
        {QVD_CORE_LOG, &log_service, true},
        {QVD_CORE_CONFIGURATION, &configuration_service, true},
        {QVD_CORE_TIMERS, &timers_service, true},
        {QVD_CORE_METRICS, &metrics_service, true},
        // hkd's account may neither read a password's hash nor make users and VMs.
        {QVD_CORE_PROVISIONING, &provisioning_service, stored && !runs_vms},
        {QVD_CORE_ACCOUNTS, &accounts_service, stored && !runs_vms},
        {QVD_CORE_PROPERTIES, &properties_service, stored},
        {QVD_CORE_PROCESSES, &processes_service, host.processes != nullptr},
        {QVD_CORE_VM_EVENTS, &vm_events_service, runs_vms},
        // That role knows its own VMs; nobody keeps a picture of the farm there.
        {QVD_CORE_INVENTORY, &inventory_service, !runs_vms},
    }};
    const auto* const found = std::ranges::find(offers, id, &Offer::id);
    return found == offers.end() || !found->is_there ? nullptr : found->table;
}

void give(const qvd_sink* sink, qvd_kind kind, const void* record) {
    if (sink != nullptr && QVD_HAS(qvd_sink, sink, record) && sink->record != nullptr)
        sink->record(sink->data, kind, record);
}

qvd_status refuse(const qvd_sink* sink, const Error& error) {
    if (sink != nullptr && QVD_HAS(qvd_sink, sink, fail) && sink->fail != nullptr)
        sink->fail(sink->data, raw(error.sentence()));
    switch (error.kind()) {
        case ErrorKind::invalid:
            return QVD_INVALID;
        case ErrorKind::not_found:
            return QVD_NOT_FOUND;
        case ErrorKind::denied:
            return QVD_DENIED;
        case ErrorKind::conflict:
            return QVD_CONFLICT;
        case ErrorKind::unavailable:
            return QVD_UNAVAILABLE;
        case ErrorKind::timeout:
            return QVD_TIMEOUT;
        case ErrorKind::cancelled:
            return QVD_CANCELLED;
        case ErrorKind::unsupported:
            return QVD_UNSUPPORTED;
        case ErrorKind::internal:
            return QVD_INTERNAL;
    }
    return QVD_INTERNAL;
}

}  // namespace qvd::plugin
