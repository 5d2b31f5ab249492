// Addresses of sockets: socket calls take a pointer to the one type that all of them pretend to be.
#pragma once

#include "base/result.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <string>

namespace qvd::supervisor {

template <class Address>
const sockaddr* as_sockaddr(const Address& address) {
    return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the way of the socket calls
}

template <class Address>
sockaddr* as_sockaddr(Address& address) {
    return reinterpret_cast<sockaddr*>(&address);  // NOLINT: the way of the socket calls
}

// Of a socket in the file system. Errors: command.path.
inline Result<sockaddr_un> unix_address(const std::string& path) {
    sockaddr_un address{};
    if (path.size() >= sizeof address.sun_path)
        return Error{ErrorKind::invalid, "command.path", path + " is too long for a socket"};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

}  // namespace qvd::supervisor
