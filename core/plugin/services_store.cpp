// Services that ask the database: provisioning, accounts, properties. All of them wait, on a worker
// thread, for the event loop to answer.
#include "model/password.hpp"
#include "plugin/keys.hpp"
#include "plugin/service_tables.hpp"

namespace qvd::plugin {

namespace {

using store::VmRecord;

// The same normalisation as a login's, so that "Bob" and "bob" are one user.
std::string login_of(Host& host, qvd_str login) {
    return normalise_login(text_of(login), host.view().get(login_case_sensitive));
}

Error no_user(const std::string& login) {
    return {ErrorKind::not_found, "user.not_found", "there is no user " + login};
}

qvd_status give_user(Host& host, const Call* call, const User& user, const qvd_sink* sink) {
    auto properties =
        host.wait_for(host.store()->properties(store::Owner::user, user.id.value()), call);
    if (!properties.ok()) return refuse(sink, properties.error());
    const PropertyArray own(std::move(properties).value());
    const qvd_user raw_user{sizeof(qvd_user), 0, static_cast<std::uint64_t>(user.id.value()),
                            raw(user.login), own.array()};
    give(sink, QVD_KIND_USER, &raw_user);
    return QVD_OK;
}

qvd_status give_vm(Host& host, const Call* call, const VmRecord& record, const qvd_sink* sink) {
    auto properties = host.wait_for(host.store()->session_properties(record.vm.id), call);
    if (!properties.ok()) return refuse(sink, properties.error());
    const PropertyArray merged(std::move(properties).value());
    const qvd_vm_entry entry = raw_vm(record, merged.array());
    give(sink, QVD_KIND_VM_ENTRY, &entry);
    return QVD_OK;
}

qvd_status find_user(const qvd_core* core, const qvd_call* on_behalf, qvd_str login,
                     const qvd_sink* sink) {
    Host& host = CoreObject::of(core).host();
    const Call* call = Call::of(on_behalf);
    const std::string name = login_of(host, login);
    auto user = host.wait_for(host.store()->user(name), call);
    if (!user.ok()) return refuse(sink, user.error());
    if (!*user) return refuse(sink, no_user(name));
    return give_user(host, call, **user, sink);
}

qvd_status ensure_user(const qvd_core* core, const qvd_call* on_behalf, qvd_str login,
                       const qvd_sink* sink) {
    Host& host = CoreObject::of(core).host();
    const std::string name = login_of(host, login);
    if (name.empty())
        return refuse(sink, {ErrorKind::invalid, "user.login", "a login must not be empty"});
    auto added = host.wait_for(host.store()->add_user(name, std::nullopt), Call::of(on_behalf));
    if (!added.ok() && added.error().kind() != ErrorKind::conflict)
        return refuse(sink, added.error());
    return find_user(core, on_behalf, login, sink);
}

qvd_status find_vm(const qvd_core* core, const qvd_call* on_behalf, std::uint64_t vm_id,
                   qvd_str name, const qvd_sink* sink) {
    Host& host = CoreObject::of(core).host();
    const Call* call = Call::of(on_behalf);
    const Error missing{ErrorKind::not_found, "vm.not_found", "there is no such VM"};
    if (vm_id != 0) {
        auto record = host.wait_for(host.store()->vm(VmId{static_cast<std::int64_t>(vm_id)}), call);
        if (!record.ok()) return refuse(sink, record.error());
        return *record ? give_vm(host, call, **record, sink) : refuse(sink, missing);
    }
    auto all = host.wait_for(host.store()->vms(), call);
    if (!all.ok()) return refuse(sink, all.error());
    const std::string wanted = text_of(name);
    for (const VmRecord& record : *all)
        if (record.vm.name == wanted) return give_vm(host, call, record, sink);
    return refuse(sink, missing);
}

qvd_status list_vms(const qvd_core* core, const qvd_call* on_behalf, std::uint64_t user_id,
                    std::uint64_t osf_id, const qvd_sink* sink) {
    Host& host = CoreObject::of(core).host();
    const Call* call = Call::of(on_behalf);
    auto vms =
        host.wait_for(host.store()->vms_of(UserId{static_cast<std::int64_t>(user_id)}), call);
    if (!vms.ok()) return refuse(sink, vms.error());
    for (const VmRecord& record : *vms) {
        if (osf_id != 0 && record.osf.id.value() != static_cast<std::int64_t>(osf_id)) continue;
        if (const qvd_status given = give_vm(host, call, record, sink); given != QVD_OK)
            return given;
    }
    return QVD_OK;
}

qvd_status create_vm(const qvd_core* core, const qvd_call* on_behalf, const qvd_vm_order* order,
                     const qvd_sink* sink) {
    if (order == nullptr || !QVD_HAS(qvd_vm_order, order, di_tag)) return QVD_INVALID;
    Host& host = CoreObject::of(core).host();
    const Call* call = Call::of(on_behalf);
    store::NewVm wanted;
    wanted.name = text_of(order->name);
    wanted.user = UserId{static_cast<std::int64_t>(order->user_id)};
    wanted.osf = OsfId{static_cast<std::int64_t>(order->osf_id)};
    if (order->di_tag.length != 0) wanted.di_tag = text_of(order->di_tag);
    if (!host.vm_addresses)
        return refuse(sink, {ErrorKind::unsupported, "vm.addresses",
                             "this role makes no VMs: it does not know the VM network"});
    auto pool = host.vm_addresses();
    if (!pool.ok()) return refuse(sink, pool.error());
    wanted.pool_first = pool->first;
    wanted.pool_last = pool->second;
    auto made = host.wait_for(host.store()->add_vm(std::move(wanted)), call);
    if (!made.ok()) return refuse(sink, made.error());
    return find_vm(core, on_behalf, static_cast<std::uint64_t>(made->value()), {nullptr, 0}, sink);
}

// Replaces an outdated hash; a failure only means that the next login tries again.
void upgrade(Host& host, const Call* call, UserId user, const Secret& password) {
    auto hash = hash_password(password);
    if (!hash.ok()) return;
    auto stored =
        host.wait_for(host.store()->set_password_hash(user, std::move(hash).value()), call);
    if (stored.ok())
        log::info("account.hash_upgraded", {{"user", user}},
                  "the password is kept as Argon2id now");
}

qvd_status verify_account(const qvd_core* core, const qvd_call* on_behalf, qvd_str login,
                          qvd_secret password, const qvd_sink* sink) {
    Host& host = CoreObject::of(core).host();
    const Call* call = Call::of(on_behalf);
    const std::string name = login_of(host, login);
    const Secret typed{std::string_view{password.data == nullptr ? "" : password.data,
                                        password.data == nullptr ? 0 : password.length}};
    auto user = host.wait_for(host.store()->user(name), call);
    if (!user.ok()) return refuse(sink, user.error());
    Secret hash;
    if (*user) {
        auto stored = host.wait_for(host.store()->password_hash((*user)->id), call);
        if (!stored.ok()) return refuse(sink, stored.error());
        if (*stored) hash = **stored;
    }
    const auto verdict = host.passwords().verify(hash, typed, host.view().get(upstream_salt));
    if (hash.empty()) return refuse(sink, no_user(name));
    if (!verdict.matches) return QVD_DECLINED;
    if (verdict.outdated) upgrade(host, call, (*user)->id, typed);
    return give_user(host, call, **user, sink);
}

std::optional<store::Owner> owner_of(qvd_scope scope) {
    switch (scope) {
        case QVD_SCOPE_NODE:
            return store::Owner::node;
        case QVD_SCOPE_USER:
            return store::Owner::user;
        case QVD_SCOPE_VM:
            return store::Owner::vm;
        case QVD_SCOPE_OSF:
            return store::Owner::osf;
        case QVD_SCOPE_DI:
            return store::Owner::di;
        default:
            return std::nullopt;
    }
}

void give_property(const std::string& key, const std::string& value, const qvd_sink* sink) {
    const qvd_property property{sizeof(qvd_property), 0, raw(key), raw(value)};
    give(sink, QVD_KIND_PROPERTY, &property);
}

qvd_status get_property(const qvd_core* core, const qvd_call* on_behalf, qvd_scope scope,
                        std::uint64_t id, qvd_str key, const qvd_sink* sink) {
    const auto owner = owner_of(scope);
    if (!owner) return QVD_INVALID;
    Host& host = CoreObject::of(core).host();
    const auto number = static_cast<std::int64_t>(id);
    auto properties =
        scope == QVD_SCOPE_VM
            ? host.wait_for(host.store()->session_properties(VmId{number}), Call::of(on_behalf))
            : host.wait_for(host.store()->properties(*owner, number), Call::of(on_behalf));
    if (!properties.ok()) return refuse(sink, properties.error());
    const auto found = properties->find(text_of(key));
    if (found == properties->end()) return QVD_NOT_FOUND;
    give_property(found->first, found->second, sink);
    return QVD_OK;
}

qvd_status list_properties(const qvd_core* core, const qvd_call* on_behalf, qvd_scope scope,
                           std::uint64_t id, const qvd_sink* sink) {
    const auto owner = owner_of(scope);
    if (!owner) return QVD_INVALID;
    Host& host = CoreObject::of(core).host();
    auto properties = host.wait_for(host.store()->properties(*owner, static_cast<std::int64_t>(id)),
                                    Call::of(on_behalf));
    if (!properties.ok()) return refuse(sink, properties.error());
    for (const auto& [key, value] : *properties) give_property(key, value, sink);
    return QVD_OK;
}

qvd_status set_property(const qvd_core* core, const qvd_call* on_behalf, qvd_scope scope,
                        std::uint64_t id, qvd_str key, qvd_str value, const qvd_sink* sink) {
    const auto owner = owner_of(scope);
    if (!owner || key.length == 0) return QVD_INVALID;
    Host& host = CoreObject::of(core).host();
    // The database refuses the rest to the roles, too; here it gets a sentence that says why.
    const bool provisioned = scope == QVD_SCOPE_USER || scope == QVD_SCOPE_VM;
    if (!provisioned || host.runs_vms())
        return refuse(sink, {ErrorKind::denied, "property.denied",
                             "a plugin sets the properties of users and VMs, while they log in; "
                             "all others are the administrator's (qa)"});
    std::map<std::string, std::optional<std::string>> change;
    change[text_of(key)] =
        value.length == 0 ? std::nullopt : std::optional<std::string>(text_of(value));
    const auto done = host.wait_for(
        host.store()->set_properties(*owner, static_cast<std::int64_t>(id), std::move(change)),
        Call::of(on_behalf));
    return done.ok() ? QVD_OK : refuse(sink, done.error());
}

}  // namespace

const qvd_provisioning_service provisioning_service{
    sizeof(qvd_provisioning_service), 0, &find_user, &ensure_user, &find_vm, &list_vms, &create_vm};
const qvd_accounts_service accounts_service{sizeof(qvd_accounts_service), 0, &verify_account};
const qvd_properties_service properties_service{sizeof(qvd_properties_service), 0, &get_property,
                                                &list_properties, &set_property};

}  // namespace qvd::plugin
