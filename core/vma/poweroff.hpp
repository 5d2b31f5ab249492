// Ends the VM.
#pragma once

#include "vma/keys.hpp"
#include "vma/process.hpp"

namespace qvd::vma {

// Runs command.poweroff, or without one what the image has: systemctl, /sbin/poweroff, or signals
// to its init. Errors are logged: whoever asked for it watches the VM and kills it in the end.
Task<void> power_off(Loop& loop, Processes& processes, const Settings& settings);

}  // namespace qvd::vma
