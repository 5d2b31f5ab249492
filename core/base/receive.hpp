// Receiving from a process that may end at any moment.
#pragma once

#include <sys/types.h>

#include <cerrno>
#include <utility>

namespace qvd {

// Calls `receive` (a recv() or recvmsg() of a local socket) until it is not interrupted. A peer
// that closes its end with something unread makes the kernel report ECONNRESET, once and before it
// hands out what the peer had sent: its last words are then asked for again.
template <class Receive>
ssize_t receive_last_words_too(Receive receive) {
    bool reset = false;
    ssize_t got = receive();
    while (got < 0 && (errno == EINTR || (errno == ECONNRESET && !std::exchange(reset, true))))
        got = receive();
    return got;
}

}  // namespace qvd
