// Built several times: PUPPET_NAME, PUPPET_THREADING, and PUPPET_PLAIN for one that leaves out what
// it may.
#include "tests/plugin/puppet.hpp"

#include <cstdint>
#include <cstdlib>

using qvd::testing::Puppet;
using qvd::testing::Stage;

namespace {

Puppet& of(void* self) {
    return *static_cast<Puppet*>(self);
}

// What the test wrote, or `otherwise` where it wrote nothing.
template <class Function, class... Argument>
qvd_status perform(const Function& function, qvd_status otherwise, Argument... argument) {
    return function ? function(argument...) : otherwise;
}

qvd_status create(const qvd_core* core, qvd_call* call, void** self) {
    qvd_str address{};
    if (core->config(core, "puppet.stage", &address) != QVD_OK)
        return qvd_call_fail(call, QVD_INVALID, "no stage");
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the test names its stage by its address
    auto* stage = reinterpret_cast<Stage*>(std::strtoull(address.data, nullptr, 10));
    static Puppet nobody;
    const auto found = stage->find(std::string(core->instance.data, core->instance.length));
    Puppet* puppet = found == stage->end() ? &nobody : found->second;
    puppet->core = core;
    const qvd_status status = perform(puppet->create, QVD_OK, core, call);
    if (status == QVD_OK) *self = puppet;
    return status;
}
void destroy(void* self) {
    if (of(self).destroy) of(self).destroy();
}
void cancel(void* self, std::uint64_t call_id) {
    if (of(self).cancel) of(self).cancel(call_id);
}

[[maybe_unused]] qvd_status init(void* self, const qvd_snapshot* snapshot, qvd_call* call) {
    return perform(of(self).init, QVD_OK, snapshot, call);
}
qvd_status choose(void* self, const qvd_placement* placement, qvd_call* call) {
    return perform(of(self).choose, QVD_INTERNAL, placement, call);
}

const qvd_load_balancer balancer{sizeof(qvd_load_balancer),
                                 PUPPET_THREADING,
                                 &create,
                                 &destroy,
                                 &cancel,
#ifdef PUPPET_PLAIN
                                 nullptr,
#else
                                 &init,
#endif
                                 &choose};

qvd_status authenticate(void* self, const qvd_login* login, const qvd_credentials* credentials,
                        qvd_call* call) {
    return perform(of(self).authenticate, QVD_DECLINED, login, credentials, call);
}

#ifdef PUPPET_PLAIN
qvd_authenticator plain_authenticator() {
    qvd_authenticator table{};
    table.size = sizeof table;
    table.threading = PUPPET_THREADING;
    table.create = &create;
    table.destroy = &destroy;
    table.authenticate = &authenticate;
    return table;
}
const qvd_authenticator authenticator = plain_authenticator();
#else
qvd_status normalise_login(void* self, const qvd_login* login, qvd_call* call) {
    return perform(of(self).normalise_login, QVD_DECLINED, login, call);
}
qvd_status split(void* self, const qvd_login* login, qvd_secret password, qvd_call* call) {
    return perform(of(self).split, QVD_DECLINED, login, password, call);
}
qvd_status second_factor(void* self, const qvd_login* login, qvd_secret factor, qvd_call* call) {
    return perform(of(self).second_factor, QVD_DECLINED, login, factor, call);
}
qvd_status after_login(void* self, const qvd_login* login, qvd_call* call) {
    return perform(of(self).after_login, QVD_DECLINED, login, call);
}
qvd_status before_list_vms(void* self, const qvd_login* login, qvd_call* call) {
    return perform(of(self).before_list_vms, QVD_DECLINED, login, call);
}
qvd_status list_vms(void* self, const qvd_login* login, qvd_call* call) {
    return perform(of(self).list_vms, QVD_DECLINED, login, call);
}
qvd_status allow_access(void* self, const qvd_login* login, const qvd_vm_entry* vm,
                        qvd_call* call) {
    return perform(of(self).allow_access, QVD_DECLINED, login, vm, call);
}
qvd_status before_connect(void* self, const qvd_login* login, const qvd_vm_entry* vm,
                          qvd_call* call) {
    return perform(of(self).before_connect, QVD_DECLINED, login, vm, call);
}
const qvd_authenticator authenticator{
    sizeof(qvd_authenticator), PUPPET_THREADING, &create,       &destroy,       &cancel,
    &normalise_login,          &split,           &authenticate, &second_factor, &after_login,
    &before_list_vms,          &list_vms,        &allow_access, &before_connect};
#endif

qvd_status survey(void* self, qvd_call* call) {
    return perform(of(self).survey, QVD_OK, call);
}
[[maybe_unused]] qvd_status collect(void* self, const qvd_array* keep, qvd_call* call) {
    return perform(of(self).collect, QVD_OK, keep, call);
}
[[maybe_unused]] qvd_status prepare_image(void* self, const qvd_image* image, qvd_call* call) {
    return perform(of(self).prepare_image, QVD_UNSUPPORTED, image, call);
}
qvd_status start(void* self, const qvd_vm* vm, qvd_call* call) {
    return perform(of(self).vm, QVD_UNSUPPORTED, "start", vm, call);
}
qvd_status stop(void* self, const qvd_vm* vm, qvd_call* call) {
    return perform(of(self).vm, QVD_UNSUPPORTED, "stop", vm, call);
}
qvd_status destroy_vm(void* self, const qvd_vm* vm, qvd_call* call) {
    return perform(of(self).vm, QVD_UNSUPPORTED, "destroy_vm", vm, call);
}
qvd_status state(void* self, const qvd_vm* vm, qvd_call* call) {
    return perform(of(self).vm, QVD_UNSUPPORTED, "state", vm, call);
}

qvd_hypervisor hypervisor_table() {
    qvd_hypervisor table{};
    table.size = sizeof table;
    table.threading = PUPPET_THREADING;
    table.create = &create;
    table.destroy = &destroy;
    table.cancel = &cancel;
    table.survey = &survey;
    table.start = &start;
    table.stop = &stop;
    table.destroy_vm = &destroy_vm;
    table.state = &state;
#ifndef PUPPET_PLAIN
    table.collect = &collect;
    table.prepare_image = &prepare_image;
#else
    // As an older header had it: shorter, and the functions behind are no functions.
    table.size = offsetof(qvd_hypervisor, state) + sizeof table.state;
    table.usage = reinterpret_cast<decltype(table.usage)>(std::uintptr_t{1});
#endif
    return table;
}
const qvd_hypervisor hypervisor = hypervisor_table();

const qvd_interface interfaces[] = {{QVD_LOAD_BALANCER, &balancer},
                                    {QVD_AUTHENTICATOR, &authenticator},
                                    {QVD_HYPERVISOR, &hypervisor}};

const qvd_config_key keys[] = {
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "puppet.stage", "0", "Where the stage is.", nullptr},
    {sizeof(qvd_config_key), 0, QVD_INTEGER, 0, "puppet.count", "3", "A whole number.", "1..9"},
    {sizeof(qvd_config_key), 0, QVD_NUMBER, 0, "puppet.weight", "0.5", "Any number.", "0..10"},
    {sizeof(qvd_config_key), 0, QVD_BOOLEAN, 0, "puppet.flag", "yes", "Yes or no.", nullptr},
    {sizeof(qvd_config_key), 0, QVD_SECONDS, 0, "puppet.patience", "2min", "A time.", nullptr},
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "puppet.unset", nullptr, "Nothing.", nullptr},
};

const qvd_plugin plugin{sizeof(qvd_plugin),
                        QVD_ABI_MAJOR,
                        QVD_ABI_MINOR,
                        QVD_ABI_DRAFT,
                        0,
                        0,
                        PUPPET_NAME,
                        "1.0.0",
                        "Does what the test says.",
                        "Apache-2.0",
                        QVD_ARRAY(interfaces),
                        QVD_ARRAY(keys)};

}  // namespace

extern "C" QVD_EXPORT const qvd_plugin* qvd_plugin_v1(void) {
    return &plugin;
}
