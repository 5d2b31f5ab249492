// The sockets that clients connect to.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <string>

namespace qvd::supervisor {

// A listening TCP socket: non-blocking, close-on-exec. `address` is an IPv4 or IPv6 address, a
// name, or "*" for every address of both families. Errors: listen.address, listen.bind with the
// sentence for the operator.
Result<UniqueFd> open_listener(const std::string& address, std::uint16_t port);

// The port that a socket is bound to; 0 if it has none.
std::uint16_t bound_port(int socket);

}  // namespace qvd::supervisor
