#include "net/listener.hpp"

#include "base/text.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

namespace qvd::net {

namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Addresses numeric_address(const char* address, std::uint16_t port, int flags) {
    addrinfo wanted{};
    wanted.ai_family = AF_UNSPEC;
    wanted.ai_socktype = SOCK_STREAM;
    wanted.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | flags;
    addrinfo* found = nullptr;
    if (::getaddrinfo(address, std::to_string(port).c_str(), &wanted, &found) != 0) found = nullptr;
    return {found, ::freeaddrinfo};
}

void set_option(int socket, int level, int option, int value) {
    // Each is an improvement, none a condition.
    static_cast<void>(::setsockopt(socket, level, option, &value, sizeof value));
}

// Screens are many small packets; a dead machine is silent.
void set_session_options(int socket) {
    set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, 20);
    set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 4);
}

sockaddr* generic(sockaddr_storage& address) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how POSIX passes addresses
    return reinterpret_cast<sockaddr*>(&address);
}

std::string text_of(const sockaddr_storage& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (address.ss_family == AF_INET) {
        sockaddr_in v4{};
        std::memcpy(&v4, &address, sizeof v4);
        ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    } else if (address.ss_family == AF_INET6) {
        sockaddr_in6 v6{};
        std::memcpy(&v6, &address, sizeof v6);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
            ::inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
        else
            ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    }
    return text.data();
}

Result<UniqueFd> bind_one(const addrinfo& where, const std::string& shown, int backlog) {
    UniqueFd socket(
        ::socket(where.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!socket) return errno_error("listener.bind", "cannot make a socket for " + shown);
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (where.ai_family == AF_INET6) set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (::bind(socket.get(), where.ai_addr, where.ai_addrlen) != 0)
        return errno_error("listener.bind", "cannot listen on " + shown);
    if (::listen(socket.get(), backlog) != 0)
        return errno_error("listener.bind", "cannot listen on " + shown);
    return socket;
}

Error refused(const std::string& where, int number) {
    return {ErrorKind::unavailable, "connect.refused",
            "cannot connect to " + where + ": " + std::generic_category().message(number)};
}

}  // namespace

Result<UniqueFd> listen_on(const std::string& address, std::uint16_t port, int backlog) {
    const std::string shown = address + ":" + std::to_string(port);
    if (address == "*") {
        // One IPv6 socket takes both; a kernel without IPv6 gets IPv4 alone.
        const Addresses all = numeric_address("::", port, AI_PASSIVE);
        if (all) {
            Result<UniqueFd> both = bind_one(*all, shown, backlog);
            if (both.ok() || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) return both;
        }
    }
    const Addresses found =
        numeric_address(address == "*" ? "0.0.0.0" : address.c_str(), port, AI_PASSIVE);
    if (!found) {
        return Error{ErrorKind::invalid, "listener.address",
                     text::quoted(address) + " is neither * nor a numeric IPv4 or IPv6 address"};
    }
    return bind_one(*found, shown, backlog);
}

Result<std::uint16_t> port_of(int socket) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(socket, generic(address), &length) != 0)
        return errno_error("listener.bind", "cannot ask a socket for its port");
    // The port is at the same place in both families.
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    return ntohs(v4.sin_port);
}

Result<std::optional<Accepted>> accept_client(int listener) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    UniqueFd socket(::accept4(listener, generic(address), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
        switch (errno) {
            case EMFILE:
            case ENFILE:
            case ENOBUFS:
            case ENOMEM:
                return errno_error("listener.exhausted", "cannot accept a connection");
            case EBADF:
            case EINVAL:
            case ENOTSOCK:
            case EFAULT:
                return errno_error("listener.accept", "cannot accept a connection");
            default:
                return std::optional<Accepted>{};  // nobody, or he has left already
        }
    }
    set_session_options(socket.get());
    set_option(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, 120'000);
    return std::optional<Accepted>{Accepted{std::move(socket), text_of(address)}};
}

Result<UniqueFd> begin_connect(const std::string& address, std::uint16_t port) {
    const std::string shown = address + ":" + std::to_string(port);
    const Addresses found = numeric_address(address.c_str(), port, 0);
    if (!found || port == 0) {
        return Error{ErrorKind::invalid, "connect.address",
                     "\"" + shown + "\" is not a numeric address and a port"};
    }
    UniqueFd socket(
        ::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    if (!socket) return refused(shown, errno);
    set_session_options(socket.get());
    // What was sent but never acknowledged counts as silence too.
    set_option(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, 60'000);
    if (::connect(socket.get(), found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)
        return refused(shown, errno);
    return socket;
}

Result<void> finish_connect(int socket) {
    int number = 0;
    socklen_t length = sizeof number;
    if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &number, &length) != 0) number = errno;
    if (number != 0) return refused("the VM", number);
    return {};
}

}  // namespace qvd::net
