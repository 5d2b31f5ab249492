#include "net/descriptor.hpp"

#include "base/receive.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace qvd::net {

namespace {

UniqueFd passed_descriptor(msghdr& message) {
    UniqueFd passed;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(header), sizeof(int));
        passed.reset(fd);
    }
    return passed;
}

}  // namespace

ssize_t send_with_descriptor(int socket, std::string_view packet, int fd, int flags) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): sendmsg() reads only
    iovec part{const_cast<char*>(packet.data()), packet.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = space.data();
        message.msg_controllen = space.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &fd, sizeof(int));
    }
    ssize_t sent = 0;
    do sent = ::sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent;
}

// NOLINTNEXTLINE(readability-non-const-parameter): the kernel writes there
ReceivedPacket receive_with_descriptor(int socket, char* buffer, std::size_t size, int flags) {
    iovec part{buffer, size};
    // Room for one descriptor (CMSG_SPACE has padding for a second one, which would be lost and
    // stay open): the kernel closes what is sent beyond it.
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> space{};
    msghdr message{};
    ReceivedPacket received;
    received.bytes = receive_last_words_too([&] {
        message = {};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = space.data();
        message.msg_controllen = CMSG_LEN(sizeof(int));
        return ::recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    });
    if (received.bytes < 0) return received;
    received.fd = passed_descriptor(message);
    received.cut = (message.msg_flags & MSG_TRUNC) != 0;
    return received;
}

}  // namespace qvd::net
