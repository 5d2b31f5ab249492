#include "executions.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <utility>

namespace qvd::test {

namespace {

// 0: nobody's.
int parent_of(int pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    const std::size_t name_end = line.rfind(')');
    return name_end == std::string::npos ? 0 : std::stoi(line.substr(name_end + 4));
}

bool descends_from_us(int pid, int others) {
    const int us = ::getpid();
    while (pid > 1 && pid != us && pid != others) pid = parent_of(pid);
    return pid == us;
}

}  // namespace

Executions::Executions(int events, int stop, int others)
    : events_(events), stop_(stop), others_(others), thread_([this] { answer(); }) {
}

std::unique_ptr<Executions> Executions::begin(int others) {
    const int events = ::fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK, O_RDONLY);
    if (events < 0) return nullptr;
    if (::fanotify_mark(events, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, FAN_OPEN_EXEC_PERM, AT_FDCWD,
                        "/") != 0) {
        ::close(events);
        return nullptr;
    }
    return std::unique_ptr<Executions>(new Executions(events, ::eventfd(0, EFD_CLOEXEC), others));
}

Executions::~Executions() {
    const std::uint64_t one = 1;
    if (::write(stop_, &one, sizeof one) < 0) std::abort();
    thread_.join();
    ::close(events_);
    ::close(stop_);
}

std::vector<std::string> Executions::take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(programs_, {});
}

// Everybody who starts a program on this machine waits for it: at once, and whatever it is.
void Executions::answer() {
    alignas(fanotify_event_metadata) std::array<char, 4096> buffer{};
    for (;;) {
        std::array<pollfd, 2> watched{{{events_, POLLIN, 0}, {stop_, POLLIN, 0}}};
        if (::poll(watched.data(), watched.size(), -1) < 0) continue;
        if (watched[1].revents != 0) return;
        ssize_t left = ::read(events_, buffer.data(), buffer.size());
        const auto* event = reinterpret_cast<const fanotify_event_metadata*>(buffer.data());
        for (; FAN_EVENT_OK(event, left); event = FAN_EVENT_NEXT(event, left)) {
            // A program's loader (ld.so) is opened for it as well: that is no other program.
            std::array<char, 256> path{};
            const std::string link = "/proc/self/fd/" + std::to_string(event->fd);
            if (::readlink(link.c_str(), path.data(), path.size() - 1) < 0) path.front() = 0;
            const bool loader = std::string(path.data()).find("/ld-") != std::string::npos;
            if (!loader && descends_from_us(event->pid, others_)) {
                const std::lock_guard lock(mutex_);
                programs_.emplace_back(path.data());
            }
            const fanotify_response yes{event->fd, FAN_ALLOW};
            if (::write(events_, &yes, sizeof yes) < 0) std::abort();
            ::close(event->fd);
        }
    }
}

double cpu_seconds_of(int pid) {
    clockid_t clock = 0;
    timespec spent{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &spent) != 0) return 0;
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

}  // namespace qvd::test
