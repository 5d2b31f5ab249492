#include "executions.hpp"

#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <set>

namespace qvd::test {

namespace {

bool is_in_a_vm(int pid) {
    std::error_code gone;
    const auto its =
        std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/pid", gone);
    return !gone && its != std::filesystem::read_symlink("/proc/self/ns/pid", gone);
}

}  // namespace

struct Executions::Family {
    std::set<int> members{::getpid()};
    int executions = 0;

    void take(const proc_event& event) {
        if (event.what == proc_event::PROC_EVENT_FORK &&
            members.count(event.event_data.fork.parent_tgid) != 0)
            members.insert(event.event_data.fork.child_tgid);
        if (event.what != proc_event::PROC_EVENT_EXEC ||
            members.count(event.event_data.exec.process_tgid) == 0)
            return;
        // The first process of a VM: what comes of it is the VM's.
        if (is_in_a_vm(event.event_data.exec.process_tgid))
            members.erase(event.event_data.exec.process_tgid);
        else
            ++executions;
    }
};

namespace {

struct alignas(NLMSG_ALIGNTO) Wish {
    nlmsghdr head{};
    std::array<char, sizeof(cn_msg) + sizeof(proc_cn_mcast_op)> body{};
};

bool ask(int socket, proc_cn_mcast_op operation) {
    Wish wish;
    wish.head.nlmsg_len = NLMSG_LENGTH(static_cast<unsigned>(wish.body.size()));
    wish.head.nlmsg_type = NLMSG_DONE;
    wish.head.nlmsg_pid = static_cast<unsigned>(::getpid());
    cn_msg message{};
    message.id.idx = CN_IDX_PROC;
    message.id.val = CN_VAL_PROC;
    message.len = sizeof operation;
    std::memcpy(wish.body.data(), &message, sizeof message);
    std::memcpy(wish.body.data() + sizeof message, &operation, sizeof operation);
    return ::send(socket, &wish, wish.head.nlmsg_len, 0) > 0;
}

}  // namespace

std::unique_ptr<Executions> Executions::begin() {
    const int socket =
        ::socket(PF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (socket < 0) return nullptr;
    std::unique_ptr<Executions> begun(new Executions(socket));
    begun->family_ = std::make_unique<Family>();
    constexpr int room = 8 << 20;
    ::setsockopt(socket, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = CN_IDX_PROC;
    if (::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        !ask(socket, PROC_CN_MCAST_LISTEN))
        return nullptr;
    // The kernel says that it has heard us; where it does not, it tells nothing else.
    pollfd answer{socket, POLLIN, 0};
    constexpr int patience_ms = 1000;
    return ::poll(&answer, 1, patience_ms) == 1 ? std::move(begun) : nullptr;
}

Executions::~Executions() {
    (void)ask(socket_, PROC_CN_MCAST_IGNORE);
    ::close(socket_);
}

int Executions::count() {
    alignas(NLMSG_ALIGNTO) std::array<char, 8192> buffer{};
    for (;;) {
        const ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), 0);
        if (got <= 0) return family_->executions;
        constexpr std::size_t at = NLMSG_HDRLEN + sizeof(cn_msg);
        proc_event event{};
        if (static_cast<std::size_t>(got) < at + offsetof(proc_event, event_data)) continue;
        const std::size_t size = std::min(sizeof event, static_cast<std::size_t>(got) - at);
        std::memcpy(&event, buffer.data() + at, size);
        family_->take(event);
    }
}

double cpu_seconds_of(int pid) {
    clockid_t clock = 0;
    timespec spent{};
    if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &spent) != 0) return 0;
    return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) / 1e9;
}

}  // namespace qvd::test
