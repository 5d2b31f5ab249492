#include "supervisor/listener.hpp"

#include "supervisor/socket_address.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <memory>

namespace qvd::supervisor {

namespace {

// Enough that a burst of clients at nine in the morning waits instead of being refused.
constexpr int backlog = 1024;

Result<UniqueFd> listen_on(const sockaddr* address, socklen_t length, bool both_families,
                           const std::string& shown) {
    UniqueFd socket{
        ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP)};
    if (!socket) return errno_error("listen.bind", "cannot make a socket for " + shown);
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6) {
        const int only = both_families ? 0 : 1;
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    }
    if (::bind(socket.get(), address, length) != 0 || ::listen(socket.get(), backlog) != 0)
        return errno_error("listen.bind", "cannot listen on " + shown);
    return socket;
}

Result<UniqueFd> listen_everywhere(std::uint16_t port, const std::string& shown) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_addr = in6addr_any;
    six.sin6_port = htons(port);
    auto both = listen_on(as_sockaddr(six), sizeof six, true, shown);
    if (both.ok() || (errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL)) return both;
    sockaddr_in four{};  // a kernel without IPv6
    four.sin_family = AF_INET;
    four.sin_addr.s_addr = htonl(INADDR_ANY);
    four.sin_port = htons(port);
    return listen_on(as_sockaddr(four), sizeof four, false, shown);
}

}  // namespace

Result<UniqueFd> open_listener(const std::string& address, std::uint16_t port) {
    const std::string shown = address + ":" + std::to_string(port) + " (l7r.address, l7r.port)";
    if (address == "*" || address.empty()) return listen_everywhere(port, shown);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int problem =
        ::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (problem != 0)
        return Error{ErrorKind::invalid, "listen.address",
                     "l7r.address: \"" + address +
                         "\" is no address of this machine: " + ::gai_strerror(problem)};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    return listen_on(found->ai_addr, found->ai_addrlen, false, shown);
}

std::uint16_t bound_port(int socket) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(socket, as_sockaddr(address), &length) != 0) return 0;
    static_assert(offsetof(sockaddr_in6, sin6_port) == offsetof(sockaddr_in, sin_port));
    sockaddr_in either{};
    std::memcpy(&either, &address, sizeof either);
    return ntohs(either.sin_port);
}

}  // namespace qvd::supervisor
