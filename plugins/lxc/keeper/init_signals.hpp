// Signals to the init of a container.
#pragma once

#include "common/unique_fd.hpp"

#include <sys/types.h>

namespace qvd::lxc {

// A descriptor of that process, readable once it has ended.
UniqueFd open_process(pid_t pid);
bool signal_process(int pidfd, int number);

// Whether it gets that signal for certain. The kernel throws away what an init neither catches nor
// blocks: one that has only begun hears nothing but SIGKILL and SIGSTOP. Of one that waits in
// sigtimedwait() it is not seen: false.
bool hears_signal(pid_t pid, int number);

}  // namespace qvd::lxc
