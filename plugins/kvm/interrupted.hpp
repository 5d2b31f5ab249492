// Saves that were cut off with the core that ordered them: libvirt finishes them by itself, and
// then nobody knows that the guest's memory is there.
#pragma once

#include "orders.hpp"
#include "settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace qvd::kvm {

// Where libvirt writes the memory of a VM that is being suspended.
std::string fresh_memory_of(std::uint64_t vm_id, const Settings& settings);

// In the folder of a checkpoint, from before its guest is saved until it is back: "the guest of
// these disks is to go on from the memory here".
void mark_checkpoint(const std::string& folder, const std::vector<std::string>& disks);
void unmark_checkpoint(const std::string& folder);

// Whether a save of this VM was begun and not heard of any more. Asks nobody.
bool is_interrupted(std::uint64_t vm_id, const Settings& settings);

// Of a VM that does not run, with its turn: what was saved whole, and has not been gone on from,
// becomes its memory. Whether there is one now.
bool take_interrupted(const Order& order, std::uint64_t vm_id, const Settings& settings);
// It runs, or is not to run again: what is left of such saves is worth nothing.
void forget_interrupted(std::uint64_t vm_id, const Settings& settings);

}  // namespace qvd::kvm
