#include "tests/l7r/epoll_failure.hpp"

#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace qvd::test {

std::atomic<int> failing_watches = 0;  // the test and the worker's thread share it

}  // namespace qvd::test

// In place of the C library's, which has names that only it may use.
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    using qvd::test::failing_watches;
    if (operation == EPOLL_CTL_ADD && failing_watches > 0) {
        --failing_watches;
        errno = ENOSPC;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}
