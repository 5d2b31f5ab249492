// Waiting for a descriptor: bounded by a deadline, and ended early when the user wants to stop.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qvd::client {

// SIGINT, SIGTERM and SIGHUP as a descriptor. From install() on they no longer end the process by
// themselves; a child must be started with an empty signal mask. One per process.
class StopSignal {
public:
    static Result<StopSignal> install();
    // Never fires; for callers that nobody can stop.
    StopSignal() = default;

    // Readable once a signal came, and from then on; -1 if none can come.
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    UniqueFd fd_;
};

// How long one step may take, and what ends it early.
struct Patience {
    Deadline deadline;
    int stop_fd = -1;
};

// Waits until `fd` is ready for one of `events` (poll's). Errors: network.timeout, stopped.
Result<void> wait_for(int fd, short events, const Patience& patience);

}  // namespace qvd::client
