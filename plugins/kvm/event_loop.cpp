#include "event_loop.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <thread>

namespace qvd::kvm {

namespace {

// Whoever asked gets an exception with libvirt's sentence; nothing goes to standard error.
void keep_quiet(void* /*data*/, virErrorPtr /*error*/) {
}

void begin_libvirt() {
    static std::once_flag once;
    std::call_once(once, [] {
        virSetErrorFunc(nullptr, &keep_quiet);
        virEventRegisterDefaultImpl();
    });
}

void wake(int /*timer*/, void* /*data*/) {
}

}  // namespace

void block_broken_pipes() {
    sigset_t signals;
    ::sigemptyset(&signals);
    ::sigaddset(&signals, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

struct EventLoop::Running {
    std::atomic<bool> stopping{false};
    int timer = -1;  // fires at once when the loop is to look at `stopping`
    std::thread thread;
};

std::shared_ptr<EventLoop> EventLoop::shared() {
    static std::mutex mutex;
    static std::weak_ptr<EventLoop> known;
    const std::lock_guard<std::mutex> lock(mutex);
    if (auto running = known.lock()) return running;
    auto made = std::make_shared<EventLoop>();
    known = made;
    return made;
}

EventLoop::EventLoop() : running_(std::make_unique<Running>()) {
    begin_libvirt();
    running_->timer = virEventAddTimeout(-1, &wake, nullptr, nullptr);
    running_->thread = std::thread([running = running_.get()] {
        block_broken_pipes();
        while (!running->stopping) virEventRunDefaultImpl();
    });
}

EventLoop::~EventLoop() {
    running_->stopping = true;
    virEventUpdateTimeout(running_->timer, 0);
    running_->thread.join();
    // What closed connections leave to the loop, their sockets among it, is let go at its next
    // turns; the timer keeps them from waiting.
    for (int turn = 0; turn < 3; ++turn) virEventRunDefaultImpl();
    virEventRemoveTimeout(running_->timer);
}

}  // namespace qvd::kvm
