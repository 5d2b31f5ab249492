// What is ordered of libvirt, each a function that runs on a thread of its own (Connection::ask)
// and throws sdk::Failure.
#pragma once

#include "connection.hpp"
#include "machine.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <optional>
#include <string>
#include <vector>

namespace qvd::kvm {

// A domain of ours and what it does.
struct Guest {
    std::string uuid;
    Identity identity;
    qvd_vm_state state = QVD_VM_UNKNOWN;
    std::string sentence;
    int pid = 0;    // of its QEMU; 0: not on this machine
    int error = 0;  // errno of why it stands still; 0: not known

    [[nodiscard]] sdk::VmStatus status() const;
};

// What a guest of libvirt's runs as, unless it is root.
struct Owner {
    unsigned user = 0;
    unsigned group = 0;
};

// Of all processors since the node's boot, in libvirt's units.
struct Times {
    std::uint64_t all = 0;
    std::uint64_t idle = 0;
};

namespace orders {

// All of ours that run, paused ones too.
std::vector<Guest> list(const Order& order, const std::string& name_prefix);
// Nothing if it does not run.
std::optional<Guest> find(const Order& order, const std::string& uuid);

void create(const Order& order, const std::string& xml);
// Asks it to shut down; false if it does not run.
bool shut_down(const Order& order, const std::string& uuid);
// Ends it; true if there is nothing (any more).
bool destroy(const Order& order, const std::string& uuid);
void pause(const Order& order, const std::string& uuid);
void unpause(const Order& order, const std::string& uuid);
void reset(const Order& order, const std::string& uuid);

// Memory to a file, and out of memory. Throws QVD_NOT_FOUND if it does not run.
void save(const Order& order, const std::string& uuid, const std::string& path);
// False if it is in the file again, because nobody waits any more.
bool restore(const Order& order, const std::string& uuid, const std::string& path,
             const Identity& identity);

// Whether all of a guest's memory is in the file, to be restored.
bool is_whole(const Order& order, const std::string& path);
// Until libvirt does nothing with the domain that lasts (a save, say), or it is gone.
void wait_for_job(const Order& order, const std::string& uuid);

struct DiskCopy {
    std::string name;  // libvirt's, "vda"
    std::string to;
};
// Copies whole disks while it runs, all as they are at one moment, as qcow2. False if nobody waits
// any more: then the copies are worth nothing.
bool copy_disks(const Order& order, const std::string& uuid, const std::vector<DiskCopy>& copies);

sdk::Usage usage(const Order& order, const std::string& uuid);
// `before` are the processors' times at the call before, and become those of now.
sdk::Capacity capacity(const Order& order, Times& before);
Owner owner(const Order& order);

}  // namespace orders
}  // namespace qvd::kvm
