// A packet on a local socket with at most one descriptor beside it.
#pragma once

#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <cstddef>
#include <string_view>

namespace qvd::net {

// As sendmsg() without SIGPIPE; `fd` -1: none. Repeats what a signal interrupted.
ssize_t send_with_descriptor(int socket, std::string_view packet, int fd, int flags);

struct ReceivedPacket {
    ssize_t bytes = -1;  // as recvmsg() gave it, errno with it
    bool cut = false;    // it was longer than the buffer
    UniqueFd fd;         // close-on-exec
};
// The last words of a peer that is gone are received, too (base/receive.hpp). Of several
// descriptors that came the kernel closes all but the first.
ReceivedPacket receive_with_descriptor(int socket, char* buffer, std::size_t size, int flags);

}  // namespace qvd::net
