#include "broker/vm_watch.hpp"

namespace qvd::broker {

VmWatch::Interest::Interest(VmWatch& watch, VmId vm, std::shared_ptr<Conversation> who)
    : watch_(watch), vm_(vm), who_(std::move(who)) {
    watch_.interested_.emplace(vm_, who_);
}

VmWatch::Interest::~Interest() {
    const auto [first, last] = watch_.interested_.equal_range(vm_);
    for (auto entry = first; entry != last; ++entry) {
        if (entry->second != who_) continue;
        watch_.interested_.erase(entry);
        break;
    }
    // Whoever waits for it next has seen nothing yet.
    if (!watch_.interested_.contains(vm_)) watch_.last_seen_.erase(vm_);
}

void VmWatch::announce(VmId vm) {
    const auto [first, last] = interested_.equal_range(vm);
    for (auto entry = first; entry != last; ++entry) entry->second->wake();
}

void VmWatch::announce_everything() {
    for (const auto& [vm, who] : interested_) who->wake();
}

std::set<VmId> VmWatch::awaited() const {
    std::set<VmId> vms;
    for (const auto& [vm, who] : interested_) vms.insert(vm);
    return vms;
}

void VmWatch::seen(const std::map<VmId, store::BrokerLook::Glimpse>& vms) {
    for (const VmId vm : awaited()) {
        const auto now = vms.find(vm);
        if (now == vms.end()) {
            announce(vm);  // it is gone
            continue;
        }
        const auto [before, is_first] = last_seen_.try_emplace(vm, now->second);
        if (!is_first && before->second == now->second) continue;
        before->second = now->second;
        announce(vm);
    }
}

}  // namespace qvd::broker
