#include "guests.hpp"

#include "files.hpp"
#include "interrupted.hpp"

#include <libvirt/libvirt.h>

#include <chrono>
#include <utility>
#include <vector>

namespace qvd::kvm {

namespace {

// libvirt needs milliseconds to say that a guest is gone.
constexpr std::chrono::seconds patience_for_word{3};

}  // namespace

Guests::Guests(const sdk::Core& core, const Settings& settings)
    : core_(core), settings_(settings), events_(core) {
}

void Guests::expect(const std::string& uuid, const Identity& identity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    known_[uuid] = {identity, false, std::nullopt};
}

std::optional<sdk::VmStatus> Guests::settle(const std::string& uuid) {
    const std::lock_guard<std::mutex> lock(mutex_);
    Known& guest = known_[uuid];
    guest.begun = true;
    return guest.end;
}

void Guests::adopt(const std::string& uuid, const Identity& identity) {
    const std::lock_guard<std::mutex> lock(mutex_);
    known_[uuid] = {identity, true, std::nullopt};
    leaving_.erase(uuid);
}

void Guests::forget(const std::string& uuid) {
    const std::lock_guard<std::mutex> lock(mutex_);
    known_.erase(uuid);
}

void Guests::dismiss(const std::string& uuid) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = known_.find(uuid);
    if (found == known_.end()) return;
    if (found->second.begun && !found->second.end) leaving_.insert(uuid);
    known_.erase(found);
}

void Guests::wait_for_word(const std::string& uuid) {
    std::unique_lock<std::mutex> lock(mutex_);
    left_.wait_for(lock, patience_for_word, [&] { return !leaving_.contains(uuid); });
    leaving_.erase(uuid);
}

std::optional<sdk::VmStatus> Guests::end_of(const std::string& uuid) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = known_.find(uuid);
    return found == known_.end() ? std::nullopt : found->second.end;
}

void Guests::end(const std::string& uuid, qvd_vm_state state, const std::string& sentence) {
    sdk::VmStatus status;
    bool begun = false;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = known_.find(uuid);
        if (found == known_.end() || found->second.end) return;
        const Identity& identity = found->second.identity;
        status.state = state;
        status.vm_id = identity.vm_id;
        status.uuid = uuid;
        status.incarnation = identity.incarnation;
        status.since = std::chrono::milliseconds(now_ms());
        status.sentence = sentence;
        found->second.end = status;
        // Its memory may be on disk: the core asks for its state.
        if (is_interrupted(identity.vm_id, settings_)) status.state = QVD_VM_SUSPENDED;
        begun = found->second.begun;
    }
    if (begun) events_.report(status);
}

// libvirt must not be asked here which disk it is: state() tells.
void Guests::pause(const std::string& uuid) {
    sdk::VmStatus status;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = known_.find(uuid);
        if (found == known_.end() || !found->second.begun) return;
        status.vm_id = found->second.identity.vm_id;
        status.incarnation = found->second.identity.incarnation;
    }
    status.uuid = uuid;
    status.state = QVD_VM_PAUSED;
    status.since = std::chrono::milliseconds(now_ms());
    status.sentence = "one of its disks cannot be written (is a disk full?)";
    core_.error("VM " + std::to_string(status.vm_id) + " is paused: " + status.sentence +
                "; once that is mended, unpause it");
    events_.report(status);
}

// By an order of the node.
bool Guests::has_left(const std::string& uuid) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (leaving_.erase(uuid) == 0) return false;
    left_.notify_all();
    return true;
}

void Guests::on_event(const std::string& uuid, int event, int detail) {
    if (event == VIR_DOMAIN_EVENT_SUSPENDED && detail == VIR_DOMAIN_EVENT_SUSPENDED_IOERROR)
        pause(uuid);
    if (event != VIR_DOMAIN_EVENT_STOPPED || has_left(uuid)) return;
    switch (detail) {
        case VIR_DOMAIN_EVENT_STOPPED_CRASHED:
            return end(uuid, QVD_VM_CRASHED, "its kernel panicked");
        case VIR_DOMAIN_EVENT_STOPPED_FAILED:
            return end(uuid, QVD_VM_CRASHED,
                       "its QEMU ended by itself; libvirt's log of the domain tells why");
        case VIR_DOMAIN_EVENT_STOPPED_DESTROYED:
            return end(uuid, QVD_VM_STOPPED, "it was ended through libvirt, not by the node");
        case VIR_DOMAIN_EVENT_STOPPED_SAVED:
            return end(uuid, QVD_VM_STOPPED, "it was saved through libvirt, not by the node");
        default:
            return end(uuid, QVD_VM_STOPPED, "");
    }
}

void Guests::on_connected(const std::set<std::string>& uuids) {
    std::vector<std::string> gone;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (std::exchange(lost_, false))
            core_.info("libvirt at " + settings_.uri + " is there again");
        for (const auto& [uuid, guest] : known_)
            if (guest.begun && uuids.find(uuid) == uuids.end()) gone.push_back(uuid);
    }
    for (const std::string& uuid : gone)
        end(uuid, QVD_VM_CRASHED, "it ended while the node was not connected to libvirt");
}

std::map<std::string, std::uint64_t> Guests::begun() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::map<std::string, std::uint64_t> incarnations;
    for (const auto& [uuid, guest] : known_)
        if (guest.begun && !guest.end) incarnations[uuid] = guest.identity.incarnation;
    return incarnations;
}

void Guests::on_gone(const std::map<std::string, std::uint64_t>& gone) {
    for (const auto& [uuid, incarnation] : gone) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            const auto found = known_.find(uuid);
            if (found == known_.end() || found->second.identity.incarnation != incarnation)
                continue;
        }
        end(uuid, QVD_VM_CRASHED, "it ended while libvirt was started anew");
    }
}

void Guests::on_lost(const std::string& sentence) {
    const std::lock_guard<std::mutex> lock(mutex_);
    lost_ = true;
    core_.warning("no connection to libvirt at " + settings_.uri + ": " + sentence +
                  "; its virtual machines keep running");
}

}  // namespace qvd::kvm
