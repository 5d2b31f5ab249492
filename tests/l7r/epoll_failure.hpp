// The kernel's epoll_ctl() as one of a kernel without memory: on demand.
#pragma once

#include <atomic>

namespace qvd::test {

// So many additions fail from now on.
extern std::atomic<int> failing_watches;

}  // namespace qvd::test
