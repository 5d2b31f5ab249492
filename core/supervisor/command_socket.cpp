#include "supervisor/command_socket.hpp"

#include "supervisor/socket_address.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <vector>

namespace qvd::supervisor {

namespace {

constexpr std::size_t longest_answer = 128U << 10U;

bool is_trusted(int client) {
    ucred who{};
    socklen_t length = sizeof who;
    if (::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0) return false;
    return who.uid == 0 || who.uid == ::geteuid();
}

bool readable_within(int fd, Milliseconds patience) {
    pollfd one{fd, POLLIN, 0};
    int got = -1;
    do {
        got = ::poll(&one, 1, static_cast<int>(patience.count()));
    } while (got < 0 && errno == EINTR);
    return got == 1;
}

Error no_supervisor(const std::string& path) {
    return {ErrorKind::unavailable, "node.not_running",
            "qvd-node is not running: nobody answers at " + path};
}

}  // namespace

Result<UniqueFd> open_command_socket(const std::string& path) {
    QVD_TRY(const sockaddr_un address, unix_address(path));
    UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return errno_error("command.socket", "cannot make a socket");
    ::unlink(path.c_str());
    const mode_t before = ::umask(0177);
    const int bound = ::bind(socket.get(), as_sockaddr(address), sizeof address);
    const int number = errno;
    ::umask(before);
    errno = number;
    if (bound != 0 || ::listen(socket.get(), 16) != 0)
        return errno_error("command.socket", "cannot listen at " + path);
    return socket;
}

Result<CommandRequest> accept_command(int socket) {
    const Error none{ErrorKind::unavailable, "command.none", "nobody asks"};
    UniqueFd client{::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    constexpr Milliseconds moment{2000};  // a busy machine
    if (!client || !is_trusted(client.get()) || !readable_within(client.get(), moment)) return none;
    std::array<char, 256> buffer{};
    const ssize_t got = ::recv(client.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return none;
    return CommandRequest{std::move(client), {buffer.data(), static_cast<std::size_t>(got)}};
}

void answer(const UniqueFd& client, bool good, std::string_view text) {
    const std::string packet =
        std::string(good ? "ok\n" : "error\n") + std::string(text.substr(0, longest_answer));
    (void)::send(client.get(), packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Result<std::string> ask_supervisor(const std::string& path, std::string_view request,
                                   Milliseconds patience) {
    QVD_TRY(const sockaddr_un address, unix_address(path));
    const UniqueFd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    if (!socket) return errno_error("command.socket", "cannot make a socket");
    if (::connect(socket.get(), as_sockaddr(address), sizeof address) != 0)
        return no_supervisor(path);
    if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
        return no_supervisor(path);
    if (!readable_within(socket.get(), patience))
        return Error{ErrorKind::timeout, "node.no_answer",
                     "qvd-node has not answered in time; see its log"};
    std::vector<char> buffer(longest_answer + 16);
    const ssize_t got = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    const std::string_view text(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0U);
    if (text.starts_with("ok\n")) return std::string(text.substr(3));
    if (text.starts_with("error\n"))
        return Error{ErrorKind::conflict, "node.refused", std::string(text.substr(6))};
    return Error{ErrorKind::unavailable, "node.no_answer",
                 "qvd-node ended before it answered; see its log"};
}

}  // namespace qvd::supervisor
