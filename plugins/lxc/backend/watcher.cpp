#include "backend/watcher.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

namespace qvd::lxc {

Watcher::Watcher(Ended ended)
    : ended_(std::move(ended)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { run(); }) {
}

Watcher::~Watcher() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    wake();
    thread_.join();
}

void Watcher::wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t ignored = ::write(wake_.get(), &one, sizeof one);
}

void Watcher::watch(std::uint64_t vm_id, UniqueFd socket) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        sockets_[vm_id] = std::move(socket);
    }
    wake();
}

void Watcher::forget(std::uint64_t vm_id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sockets_.erase(vm_id);
}

bool Watcher::watches(std::uint64_t vm_id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sockets_.contains(vm_id);
}

void Watcher::run() {
    for (;;) {
        std::vector<pollfd> polled{{wake_.get(), POLLIN, 0}};
        std::vector<std::uint64_t> vms;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (stopping_) return;
            for (const auto& [vm_id, socket] : sockets_) {
                polled.push_back({socket.get(), POLLIN, 0});
                vms.push_back(vm_id);
            }
        }
        if (::poll(polled.data(), polled.size(), -1) < 0) continue;
        std::uint64_t woken = 0;
        [[maybe_unused]] const ssize_t ignored = ::read(wake_.get(), &woken, sizeof woken);
        for (std::size_t i = 0; i < vms.size(); ++i)
            if (polled[i + 1].revents != 0) serve(vms[i], polled[i + 1].fd);
    }
}

// A datagram of a change, or the end. The lock keeps the descriptor from being another's meanwhile.
void Watcher::serve(std::uint64_t vm_id, int fd) {
    Fields last;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto mine = sockets_.find(vm_id);
        if (mine == sockets_.end() || mine->second.get() != fd) return;
        char bytes[4096];
        const ssize_t n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n > 0) last = Fields::parse(std::string_view(bytes, static_cast<std::size_t>(n)));
        if (n > 0 && last.get("state") != "ended") return;
        sockets_.erase(mine);
    }
    ended_(vm_id, last);
}

}  // namespace qvd::lxc
