#include "backend/network.hpp"

#include "common/fields.hpp"
#include "common/unique_fd.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace qvd::lxc {

namespace {

// A virtual machine's, which another plugin runs on the same node.
bool is_tap(const std::string& name) {
    return ::access(("/sys/class/net/" + name + "/tun_flags").c_str(), F_OK) == 0;
}

}  // namespace

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

std::vector<std::uint64_t> vms_with_links(const std::string& prefix) {
    std::vector<std::uint64_t> vms;
    const std::unique_ptr<struct if_nameindex[], decltype(&::if_freenameindex)> all(
        ::if_nameindex(), &::if_freenameindex);
    for (const struct if_nameindex* one = all.get(); one != nullptr && one->if_index != 0; ++one) {
        const std::string name = one->if_name;
        if (name.compare(0, prefix.size(), prefix) != 0 || is_tap(name)) continue;
        if (const auto number = parse_number(std::string_view(name).substr(prefix.size())))
            if (*number > 0) vms.push_back(static_cast<std::uint64_t>(*number));
    }
    return vms;
}

}  // namespace qvd::lxc
