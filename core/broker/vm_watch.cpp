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
        return;
    }
}

void VmWatch::announce(VmId vm) {
    const auto [first, last] = interested_.equal_range(vm);
    for (auto entry = first; entry != last; ++entry) entry->second->wake();
}

void VmWatch::announce_everything() {
    for (const auto& [vm, who] : interested_) who->wake();
}

}  // namespace qvd::broker
