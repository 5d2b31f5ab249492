// The memory store: VMs as the administrator sees them.
#include "store/checks.hpp"
#include "store/memory/tables.hpp"

#include <algorithm>

namespace qvd::store {

namespace {

using memory::Tables;
using memory::VmRow;

bool name_taken(const Tables& tables, const std::string& name, VmId besides) {
    return std::ranges::any_of(tables.vms, [&](const auto& entry) {
        return entry.second.vm.name == name && entry.first != besides;
    });
}

bool address_taken(const Tables& tables, const std::string& address, VmId besides) {
    return std::ranges::any_of(tables.vms, [&](const auto& entry) {
        return entry.second.vm.address == address && entry.first != besides;
    });
}

Result<std::string> highest_free(const Tables& tables, const NewVm& vm) {
    QVD_TRY(const std::uint32_t first, checks::address(vm.pool_first));
    QVD_TRY(const std::uint32_t last, checks::address(vm.pool_last));
    for (std::uint32_t at = last; at >= first && at != 0; --at)
        if (!address_taken(tables, checks::address_text(at), {})) return checks::address_text(at);
    return Error{ErrorKind::unavailable, "address.none_free",
                 "no address is free between " + vm.pool_first + " and " + vm.pool_last};
}

bool is_idle(const VmRow& row) {
    const VmState state = row.runtime.state;
    return (state == VmState::stopped || state == VmState::failed) && !row.runtime.command;
}

Error not_stopped(VmId vm) {
    return answers::conflict("vm.not_stopped", "vm " + vm.text() + " is not stopped");
}

}  // namespace

Async<VmId> MemoryStore::add_vm(NewVm vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(checks::name("vm.name", vm.name));
    QVD_CO_CHECK(checks::tag(vm.di_tag));
    if (vm.address.empty()) {
        QVD_CO_TRY(vm.address, highest_free(*tables_, vm));
    }
    QVD_CO_CHECK(checks::address(vm.address));
    if (!tables_->users.contains(vm.user)) co_return answers::violated("vms_user_fkey");
    if (!tables_->osfs.contains(vm.osf)) co_return answers::violated("vms_osf_fkey");
    if (name_taken(*tables_, vm.name, {})) co_return answers::violated("vms_name_key");
    if (address_taken(*tables_, vm.address, {})) co_return answers::violated("vms_address_key");
    const VmId id{tables_->next_id()};
    VmRow& row = tables_->vms[id];
    row.vm = {id, memory::new_uuid(), vm.name, vm.user, vm.osf, vm.di_tag, vm.address};
    row.runtime.since = tables_->now();
    tables_->announce_vms();
    co_return id;
}

Async<void> MemoryStore::delete_vm(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (!is_idle(*row)) co_return not_stopped(vm);
    for (auto it = tables_->sessions.begin(); it != tables_->sessions.end();) {
        const bool its = it->second.vm == vm;
        if (its && it->second.state != SessionState::disconnected) tables_->end(it->second);
        it = its ? tables_->sessions.erase(it) : std::next(it);
    }
    tables_->vms.erase(vm);
    tables_->announce_vms();
    co_return Result<void>{};
}

Async<std::vector<VmRecord>> MemoryStore::vms() {
    ++listings_;
    QVD_CO_CHECK(co_await ready());
    std::vector<VmRecord> all;
    for (const auto& [id, row] : tables_->vms) all.push_back(tables_->record(row));
    co_return all;
}

Async<std::vector<VmRecord>> MemoryStore::vms_of(UserId user) {
    QVD_CO_CHECK(co_await ready());
    std::vector<VmRecord> all;
    for (const auto& [id, row] : tables_->vms)
        if (row.vm.user == user) all.push_back(tables_->record(row));
    co_return all;
}

Async<std::vector<VmRecord>> MemoryStore::vms_on(NodeId node) {
    QVD_CO_CHECK(co_await ready());
    std::vector<VmRecord> all;
    for (const auto& [id, row] : tables_->vms)
        if (row.runtime.node == node) all.push_back(tables_->record(row));
    co_return all;
}

namespace {

// As the constraints of PostgreSQL's tables.
Result<void> check_references(const memory::Tables& tables, const Store::VmEdit& edit, VmId vm) {
    if (edit.user && !tables.users.contains(*edit.user)) return answers::violated("vms_user_fkey");
    if (edit.osf && !tables.osfs.contains(*edit.osf)) return answers::violated("vms_osf_fkey");
    if (edit.name && name_taken(tables, *edit.name, vm)) return answers::violated("vms_name_key");
    if (edit.address && address_taken(tables, *edit.address, vm))
        return answers::violated("vms_address_key");
    return {};
}

// In an inventory.
bool shows_otherwise(const Vm& before, const Vm& after) {
    return before.name != after.name || before.di_tag != after.di_tag ||
           before.user != after.user || before.osf != after.osf;
}

// Whether the VM runs from another image than its tag means now; only then it expires.
bool limit(VmRuntime& runtime, bool outdated, const Expiry& expiry) {
    if (!outdated) runtime.expires_soft = runtime.expires_hard = std::nullopt;
    if (outdated && expiry.soft) runtime.expires_soft = *expiry.soft;
    if (outdated && expiry.hard) runtime.expires_hard = *expiry.hard;
    return outdated;
}

}  // namespace

Async<std::optional<VmRecord>> MemoryStore::vm(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->vms.find(vm);
    if (found == tables_->vms.end()) co_return std::optional<VmRecord>{};
    co_return std::optional(tables_->record(found->second));
}

Async<void> MemoryStore::edit_vm(VmId vm, VmEdit edit) {
    QVD_CO_CHECK(co_await ready());
    if (edit.name) QVD_CO_CHECK(checks::name("vm.name", *edit.name));
    if (edit.di_tag) QVD_CO_CHECK(checks::tag(*edit.di_tag));
    if (edit.address) QVD_CO_CHECK(checks::address(*edit.address));
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if ((edit.user || edit.osf) && !is_idle(*row)) co_return not_stopped(vm);
    QVD_CO_CHECK(check_references(*tables_, edit, vm));
    const Vm before = row->vm;
    if (edit.name) row->vm.name = *edit.name;
    if (edit.di_tag) row->vm.di_tag = *edit.di_tag;
    if (edit.address) row->vm.address = *edit.address;
    if (edit.user || edit.osf) row->checkpoint.reset();
    row->vm.user = edit.user.value_or(row->vm.user);
    row->vm.osf = edit.osf.value_or(row->vm.osf);
    if (shows_otherwise(before, row->vm)) tables_->announce_vms();
    co_return Result<void>{};
}

Async<void> MemoryStore::set_vm_blocked(VmId vm, bool blocked) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (!blocked) row->runtime.attempt = 0;
    if (row->runtime.blocked != blocked) {
        row->runtime.blocked = blocked;
        tables_->announce_state(*row);
        tables_->announce_vms();
    }
    co_return Result<void>{};
}

Async<std::set<VmId>> MemoryStore::set_expiry(std::set<VmId> vms, Expiry expiry) {
    QVD_CO_CHECK(co_await ready());
    std::set<VmId> limited;
    for (const VmId id : vms) {
        const auto found = tables_->vms.find(id);
        if (found == tables_->vms.end()) continue;
        VmRuntime& runtime = found->second.runtime;
        const Vm& vm = found->second.vm;
        const memory::DiRow* const next = tables_->tagged(vm.osf, vm.di_tag);
        if (next == nullptr || !runtime.current_di) continue;
        if (limit(runtime, next->di.id != *runtime.current_di, expiry)) limited.insert(id);
    }
    co_return limited;
}

Async<void> MemoryStore::set_real_user(VmId vm, UserId user) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(VmRow* const row, tables_->vm(vm));
    if (!tables_->users.contains(user)) co_return answers::violated("vm_runtimes_real_user_fkey");
    row->runtime.real_user = user;
    co_return Result<void>{};
}

}  // namespace qvd::store
