#include "backend/network.hpp"

#include "common/unique_fd.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>

namespace qvd::lxc {

bool link_exists(const std::string& name) {
    return ::if_nametoindex(name.c_str()) != 0;
}

bool delete_link(const std::string& name) {
    const unsigned index = ::if_nametoindex(name.c_str());
    if (index == 0) return true;
    struct {
        nlmsghdr header;
        ifinfomsg link;
    } request{};
    request.header.nlmsg_len = sizeof request;
    request.header.nlmsg_type = RTM_DELLINK;
    request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.link.ifi_family = AF_UNSPEC;
    request.link.ifi_index = static_cast<int>(index);
    const UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket || ::send(socket.get(), &request, sizeof request, 0) < 0) return false;
    struct {
        nlmsghdr header;
        nlmsgerr error;
    } answer{};
    const ssize_t n = ::recv(socket.get(), &answer, sizeof answer, 0);
    if (n < static_cast<ssize_t>(sizeof answer.header + sizeof answer.error.error)) return false;
    return answer.error.error == 0 || answer.error.error == -ENODEV;
}

}  // namespace qvd::lxc
