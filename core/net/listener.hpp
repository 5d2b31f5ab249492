// Listening and accepted TCP sockets, with the options that every leg of a session needs.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace qvd::net {

// Non-blocking, close-on-exec. `address` is a numeric IPv4 or IPv6 address, or "*" for all of both.
// Port 0: the kernel chooses. Errors: listener.address, listener.bind.
Result<UniqueFd> listen_on(const std::string& address, std::uint16_t port, int backlog = 1024);
Result<std::uint16_t> port_of(int socket);

struct Accepted {
    UniqueFd socket;      // non-blocking, close-on-exec, TCP_NODELAY, keep-alive
    std::string address;  // numeric; IPv4 also where the socket is IPv6
};
// Nothing if nobody waits (any more). Errors: listener.exhausted (no descriptors or memory left:
// try again later), listener.accept.
Result<std::optional<Accepted>> accept_client(int listener);

// Begins a connection to a numeric address; non-blocking, TCP_NODELAY and keep-alive, so that a
// vanished machine is noticed within a minute. Errors: connect.address, connect.refused.
Result<UniqueFd> begin_connect(const std::string& address, std::uint16_t port);
// What became of it: once the socket is writable. Errors: connect.refused.
Result<void> finish_connect(int socket);

}  // namespace qvd::net
