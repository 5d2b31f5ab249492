// Socket calls take a pointer to the one type that all addresses pretend to be.
#pragma once

#include <sys/socket.h>

namespace qvd::supervisor {

template <class Address>
const sockaddr* as_sockaddr(const Address& address) {
    return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the way of the socket calls
}

template <class Address>
sockaddr* as_sockaddr(Address& address) {
    return reinterpret_cast<sockaddr*>(&address);  // NOLINT: the way of the socket calls
}

}  // namespace qvd::supervisor
