#include "client/wait.hpp"

#include <poll.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

namespace qvd::client {

Result<StopSignal> StopSignal::install() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, signal);
    errno = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    if (errno != 0) return errno_error("internal.signal", "cannot block signals");
    StopSignal stop;
    // Nobody reads it: the first signal keeps it readable for every later wait.
    stop.fd_.reset(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!stop.fd_) return errno_error("internal.signal", "cannot watch for signals");
    return stop;
}

Result<void> wait_for(int fd, short events, const Patience& patience) {
    for (;;) {
        std::array<pollfd, 2> watched{{{fd, events, 0}, {patience.stop_fd, POLLIN, 0}}};
        const auto left = patience.deadline.remaining().count();
        const int ready = ::poll(watched.data(), watched.size(),
                                 static_cast<int>(std::min<decltype(left)>(left, INT_MAX)));
        if (ready < 0 && errno == EINTR) continue;
        if (ready < 0) return errno_error("internal.poll", "cannot wait for the connection");
        if (watched[1].revents != 0)
            return Error{ErrorKind::cancelled, "stopped", "stopped by a signal"};
        if (watched[0].revents != 0) return {};
        if (patience.deadline.passed())
            return Error{ErrorKind::timeout, "network.timeout", "no answer in time"};
    }
}

}  // namespace qvd::client
