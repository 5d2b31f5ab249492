// Name look-up that a deadline or a signal can end: the C library's own cannot be.
#pragma once

#include "client/wait.hpp"

#include <sys/socket.h>

#include <string>
#include <vector>

namespace qvd::client {

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

// Every stream address of `host`, in the system's order of preference. Errors:
// network.unknown_host, network.timeout, stopped.
Result<std::vector<Address>> resolve(const std::string& host, int port, const Patience& patience);

}  // namespace qvd::client
