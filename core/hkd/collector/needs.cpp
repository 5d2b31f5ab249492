#include "hkd/collector/needs.hpp"

namespace qvd::hkd {

namespace {

// Nothing of it runs, and nobody has ordered that it does.
bool is_at_rest(const VmRuntime& runtime) {
    return (runtime.state == VmState::stopped || runtime.state == VmState::failed) &&
           !runtime.command && !runtime.retry_at;
}

std::string last_name_of(std::string path) {
    while (path.ends_with('/')) path.pop_back();
    return path.substr(path.rfind('/') + 1);
}

Verdict nobody(std::string why) {
    return {false, std::move(why), false};
}

Verdict of_image(const Item& item, const Needs& needs) {
    const auto image = needs.images.find(item.di);
    if (image == needs.images.end()) return nobody("image " + item.di.text() + " is deleted");
    const int vms = image->second.vms;
    std::string by =
        "image " + item.di.text() + " of " + std::to_string(vms) + (vms == 1 ? " VM" : " VMs");
    if (image->second.runs) by += ", in use";
    return {true, std::move(by), item.kind == ItemKind::unpacked && !image->second.runs};
}

Verdict of_vm(const Item& item, const Needs& needs) {
    const auto vm = needs.vms.find(item.vm);
    if (vm == needs.vms.end()) return nobody("VM " + item.vm.text() + " is deleted");
    if (item.orphaned) return nobody("not the checkpoint of VM " + item.vm.text());
    if (item.kind == ItemKind::overlay && item.di.value() != 0 && !needs.images.contains(item.di))
        return nobody("image " + item.di.text() + " is deleted");
    return {true, "VM " + item.vm.text() + " (" + vm->second + ")", false};
}

// Folders of a user's are told by their names, which any folder may have.
Verdict of_user(const Item& item, const Needs& needs) {
    if (needs.logins.contains(item.login)) return {true, "user " + item.login, false};
    if (!needs.homes_by_login) return {true, "unknown", false};
    return nobody("user " + item.login + " is deleted");
}

}  // namespace

Needs needs_of(const std::vector<store::VmRecord>& vms, const std::vector<store::DiRecord>& images,
               const std::vector<User>& users, bool homes_by_login) {
    Needs needs;
    needs.homes_by_login = homes_by_login;
    for (const store::DiRecord& record : images)
        needs.images[record.di.id] = {record.di.path, record.vms, record.vms_running > 0};
    for (const store::VmRecord& record : vms) {
        needs.vms[record.vm.id] = record.vm.name;
        if (record.checkpoint)
            needs.checkpoints[record.vm.id] = last_name_of(record.checkpoint->path);
        if (is_at_rest(record.runtime)) continue;
        for (const auto& di : {record.di, record.current_di})
            if (di) needs.images[di->id].runs = true;
    }
    for (const User& user : users) needs.logins.insert(user.login);
    return needs;
}

bool is_orphaned(const Item& item, const Needs& needs) {
    if (item.kind != ItemKind::checkpoint || !needs.vms.contains(item.vm)) return false;
    const auto known = needs.checkpoints.find(item.vm);
    return known == needs.checkpoints.end() || known->second != item.name();
}

Verdict judge(const Item& item, const Needs& needs) {
    // Whatever else a home's name may look like.
    const bool at_home = item.kind == ItemKind::home || item.kind == ItemKind::discarded;
    if (at_home && needs.homes_by_login && needs.logins.contains(item.name()))
        return {true, "user " + item.name(), false};
    switch (item.kind) {
        case ItemKind::discarded:
            return nobody("on its way out");
        case ItemKind::part:
        case ItemKind::incoming:
            return nobody("never finished");
        default:
            break;
    }
    if (needs.is_new()) return {true, "unknown: the database has neither images nor VMs", false};
    if (item.kind == ItemKind::image || item.kind == ItemKind::unpacked)
        return of_image(item, needs);
    return item.login.empty() ? of_vm(item, needs) : of_user(item, needs);
}

}  // namespace qvd::hkd
