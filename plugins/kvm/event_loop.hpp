// libvirt's event loop, which a process has once: one thread that runs while somebody needs it.
#pragma once

#include <memory>

namespace qvd::kvm {

// For a thread that calls libvirt, which writes to sockets whose other end may be gone: that is an
// error to it, and must be no signal to the process.
void block_broken_pipes();

class EventLoop {
public:
    // The running one, or a new one. To be held as long as a connection is open.
    static std::shared_ptr<EventLoop> shared();

    EventLoop();
    ~EventLoop();  // not on the loop's own thread
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

private:
    struct Running;
    std::unique_ptr<Running> running_;
};

}  // namespace qvd::kvm
