// qvd/accounts.hpp - users, their VMs, their passwords, and properties, as services of the core.
#pragma once

#include <qvd/inventory.hpp>

#include <vector>

namespace qvd::sdk {

// A user, copied: it outlives the call.
struct User {
    std::uint64_t id = 0;
    std::string login;
    bool blocked = false;

    static User of(const qvd_user* raw) {
        return {raw->id, std::string(view(raw->login)), (raw->flags & QVD_USER_BLOCKED) != 0};
    }
};

// A VM, copied.
struct VmCopy {
    std::uint64_t id = 0;
    std::uint64_t user_id = 0;
    std::uint64_t osf_id = 0;
    std::string name;
    std::string state;
    std::vector<std::pair<std::string, std::string>> properties;

    static VmCopy of(const qvd_vm_entry* raw) {
        const VmEntry vm(raw);
        VmCopy copy;
        copy.id = vm.id();
        copy.user_id = vm.user_id();
        copy.osf_id = vm.osf_id();
        copy.name = vm.name();
        copy.state = vm.state();
        for (const Property property : vm.properties())
            copy.properties.emplace_back(property.key(), property.value());
        return copy;
    }
};

// Finding and making users and VMs. `call` is the one that it is done for; null: none. [worker]
class Provisioning {
public:
    explicit Provisioning(const Core& core)
        : core_(core),
          table_(detail::needed<qvd_provisioning_service>(core, QVD_CORE_PROVISIONING)) {}

    std::optional<User> find_user(const Call* call, std::string_view login) const {
        return one<User, qvd_user>(QVD_KIND_USER, QVD_NOT_FOUND, [&](const qvd_sink* sink) {
            return table_->find_user(core_.raw(), detail::raw_of(call), str(login), sink);
        });
    }
    User ensure_user(const Call* call, std::string_view login) const {
        return surely(one<User, qvd_user>(QVD_KIND_USER, QVD_OK, [&](const qvd_sink* sink) {
            return table_->ensure_user(core_.raw(), detail::raw_of(call), str(login), sink);
        }));
    }
    std::optional<VmCopy> find_vm(const Call* call, std::uint64_t id) const {
        return one<VmCopy, qvd_vm_entry>(
            QVD_KIND_VM_ENTRY, QVD_NOT_FOUND, [&](const qvd_sink* sink) {
                return table_->find_vm(core_.raw(), detail::raw_of(call), id, str({}), sink);
            });
    }
    // Of one OSF only, unless `osf_id` is 0.
    std::vector<VmCopy> list_vms(const Call* call, std::uint64_t user_id,
                                 std::uint64_t osf_id = 0) const {
        std::vector<VmCopy> vms;
        detail::Collector all(QVD_KIND_VM_ENTRY, [&vms](const void* raw) {
            vms.push_back(VmCopy::of(static_cast<const qvd_vm_entry*>(raw)));
        });
        all.check(table_->list_vms(core_.raw(), detail::raw_of(call), user_id, osf_id, all.sink()));
        return vms;
    }
    // Nothing if the name is taken.
    std::optional<VmCopy> create_vm(const Call* call, std::uint64_t user_id, std::uint64_t osf_id,
                                    std::string_view name, std::string_view di_tag = {}) const {
        const qvd_vm_order order = {sizeof order, 0, user_id, osf_id, str(name), str(di_tag)};
        return one<VmCopy, qvd_vm_entry>(
            QVD_KIND_VM_ENTRY, QVD_CONFLICT, [&](const qvd_sink* sink) {
                return table_->create_vm(core_.raw(), detail::raw_of(call), &order, sink);
            });
    }

private:
    template <class Copy, class Raw, class Ask>
    static std::optional<Copy> one(qvd_kind kind, qvd_status allowed, Ask&& ask) {
        std::optional<Copy> copy;
        detail::Collector first(kind, detail::first_of<Raw>(copy));
        first.check(ask(first.sink()), allowed);
        return copy;
    }
    static User surely(std::optional<User> user) {
        if (!user) throw Failure(QVD_INTERNAL, "the core made a user and did not say which");
        return *std::move(user);
    }

    Core core_;
    const qvd_provisioning_service* table_;
};

// Passwords that the farm itself keeps.
class Accounts {
public:
    explicit Accounts(const Core& core)
        : core_(core), table_(detail::needed<qvd_accounts_service>(core, QVD_CORE_ACCOUNTS)) {}

    // The user if the password is right; nothing if it is wrong or he has none here. [worker]
    std::optional<User> verify_password(const Call* call, std::string_view login,
                                        SecretView password) const {
        std::optional<User> user;
        detail::Collector first(QVD_KIND_USER, detail::first_of<qvd_user>(user));
        const qvd_status status = table_->verify_password(core_.raw(), detail::raw_of(call),
                                                          str(login), password.raw(), first.sink());
        if (status == QVD_NOT_FOUND) return std::nullopt;
        if (first.check(status, QVD_DECLINED) == QVD_DECLINED) return std::nullopt;
        return user;
    }

private:
    Core core_;
    const qvd_accounts_service* table_;
};

// Properties of nodes, users, VMs, OSFs and DIs. [worker]
class PropertyStore {
public:
    explicit PropertyStore(const Core& core)
        : core_(core), table_(detail::needed<qvd_properties_service>(core, QVD_CORE_PROPERTIES)) {}

    std::optional<std::string> get(const Call* call, qvd_scope scope, std::uint64_t id,
                                   std::string_view key) const {
        std::optional<std::string> value;
        detail::Collector first(QVD_KIND_PROPERTY, [&value](const void* raw) {
            value = std::string(Property(static_cast<const qvd_property*>(raw)).value());
        });
        first.check(
            table_->get(core_.raw(), detail::raw_of(call), scope, id, str(key), first.sink()),
            QVD_NOT_FOUND);
        return value;
    }
    std::vector<std::pair<std::string, std::string>> list(const Call* call, qvd_scope scope,
                                                          std::uint64_t id) const {
        std::vector<std::pair<std::string, std::string>> properties;
        detail::Collector all(QVD_KIND_PROPERTY, [&properties](const void* raw) {
            const Property property(static_cast<const qvd_property*>(raw));
            properties.emplace_back(property.key(), property.value());
        });
        all.check(table_->list(core_.raw(), detail::raw_of(call), scope, id, all.sink()));
        return properties;
    }
    // An empty value removes it.
    void set(const Call* call, qvd_scope scope, std::uint64_t id, std::string_view key,
             std::string_view value) const {
        detail::Collector none(0, [](const void*) {});
        none.check(table_->set(core_.raw(), detail::raw_of(call), scope, id, str(key), str(value),
                               none.sink()));
    }

private:
    Core core_;
    const qvd_properties_service* table_;
};

}  // namespace qvd::sdk
