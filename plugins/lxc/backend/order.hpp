// A keeper's order, made from what the core says of a VM.
#pragma once

#include "backend/root_store.hpp"
#include "backend/root_tree.hpp"
#include "backend/settings.hpp"
#include "common/fields.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <string>

namespace qvd::lxc {

// Throws sdk::Failure if a container cannot be what is asked for (a PCI device, a second network
// card, a bridge that is not there); nothing has been done then.
void check_vm(const sdk::Vm& vm, const Settings& settings);

// Writes into the VM's files what it finds there at its start: name, name servers, and the places
// that home and agent token are mounted on. Of a shared root nothing but those places, in the image
// itself; the rest is mounted there.
void furnish(const sdk::Vm& vm, const Root& place);
// The places for mounts that every VM of this image needs, where they are missing. Of an image that
// VMs share, before they do.
void furnish_image(const std::string& rootfs);

// The order of keeper/main.cpp and container/configuration.hpp. Makes a missing home folder, and
// writes the token and the list of refused system calls beside the keeper's socket.
Fields make_order(const sdk::Vm& vm, const Settings& settings, const Root& root);

// Held (flock) by the keeper of the VM that uses this home.
std::string lock_of_home(const std::string& home);

// The first disk of this role, or nothing.
std::optional<sdk::Disk> disk_of(const sdk::Vm& vm, qvd_disk_role role);

}  // namespace qvd::lxc
