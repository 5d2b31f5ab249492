#include "backend/keeper_socket.hpp"

#include "common/files.hpp"

#include <poll.h>
#include <sys/socket.h>

namespace qvd::lxc {

namespace {
constexpr std::size_t answer_limit = 4096;
}

KeeperSocket KeeperSocket::open(const std::string& path) {
    KeeperSocket socket;
    socket.fd_ = connect_to(path, SOCK_SEQPACKET);
    return socket;
}

std::optional<Fields> KeeperSocket::ask(std::string_view request,
                                        std::chrono::milliseconds patience) {
    if (::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) return std::nullopt;
    return receive(patience);
}

std::optional<Fields> KeeperSocket::receive(std::chrono::milliseconds patience) {
    pollfd readable{fd_.get(), POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(patience.count())) <= 0) return std::nullopt;
    char answer[answer_limit];
    const ssize_t n = ::recv(fd_.get(), answer, sizeof answer, 0);
    if (n <= 0) return std::nullopt;
    return Fields::parse(std::string_view(answer, static_cast<std::size_t>(n)));
}

sdk::VmStatus status_from(const Fields& said, bool alive) {
    sdk::VmStatus status;
    status.vm_id = static_cast<std::uint64_t>(said.number("vm"));
    status.uuid = said.get("uuid");
    status.incarnation = static_cast<std::uint64_t>(said.number("incarnation"));
    status.exit_code = static_cast<std::int32_t>(said.number("exit"));
    status.since = std::chrono::milliseconds(said.number("since"));
    status.sentence = said.get("sentence");
    const std::string state = said.get("state");
    const std::string reason = said.get("reason");
    if (state == "ended") {
        const bool orderly = reason == "stopped" || reason == "killed";
        status.state = orderly ? QVD_VM_STOPPED : QVD_VM_CRASHED;
    } else if (!alive) {
        status.state = QVD_VM_CRASHED;
        status.sentence = "its keeper was killed, and the container died with it";
    } else {
        status.pid = static_cast<std::int32_t>(said.number("pid"));
        status.state = state == "running"    ? QVD_VM_RUNNING
                       : state == "stopping" ? QVD_VM_STOPPING
                                             : QVD_VM_STARTING;
    }
    return status;
}

}  // namespace qvd::lxc
