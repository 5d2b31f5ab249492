#include "hkd/network/links.hpp"

#include "hkd/network/addresses.hpp"

#include <arpa/inet.h>
#include <linux/if.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/bridge.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>

namespace qvd::hkd::network {

namespace {

// What remove_bridge() knows its own by.
constexpr const char* our_mark = "made by qvd-node";

template <auto Free>
struct Releaser {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Socket = std::unique_ptr<nl_sock, Releaser<nl_socket_free>>;
using Link = std::unique_ptr<rtnl_link, Releaser<rtnl_link_put>>;
using Address = std::unique_ptr<rtnl_addr, Releaser<rtnl_addr_put>>;
using Raw = std::unique_ptr<nl_addr, Releaser<nl_addr_put>>;
using Cache = std::unique_ptr<nl_cache, Releaser<nl_cache_free>>;

Error failed(const std::string& what, int code) {
    return {ErrorKind::unavailable, "network.bridge", what + ": " + nl_geterror(code)};
}

Result<Socket> open_socket() {
    Socket socket(nl_socket_alloc());
    if (!socket) return failed("no memory for netlink", -NLE_NOMEM);
    const int code = nl_connect(socket.get(), NETLINK_ROUTE);
    if (code < 0) return failed("cannot talk to the kernel about the network", code);
    return socket;
}

// Empty if there is none.
Result<Link> find_link(nl_sock* socket, const std::string& name) {
    rtnl_link* found = nullptr;
    const int code = rtnl_link_get_kernel(socket, 0, name.c_str(), &found);
    if (code == -NLE_OBJ_NOTFOUND || code == -NLE_NODEV) return Link{};
    if (code < 0) return failed("cannot look for the device " + name, code);
    return Link(found);
}

Result<void> check_is_bridge(rtnl_link* link, const std::string& name) {
    const char* const kind = rtnl_link_get_type(link);
    if (kind != nullptr && std::string_view(kind) == "bridge") return {};
    return Error{ErrorKind::conflict, "network.bridge",
                 "the device " + name + " (vm.network.bridge) is there, but is not a bridge"};
}

Result<void> create(nl_sock* socket, const Bridge& bridge) {
    const Link link(rtnl_link_bridge_alloc());
    if (!link) return failed("no memory for netlink", -NLE_NOMEM);
    rtnl_link_set_name(link.get(), bridge.name.c_str());
    nl_addr* parsed = nullptr;
    if (nl_addr_parse(bridge.mac.c_str(), AF_LLC, &parsed) == 0) {
        const Raw mac(parsed);
        rtnl_link_set_addr(link.get(), mac.get());
    }
    const int code = rtnl_link_add(socket, link.get(), NLM_F_CREATE | NLM_F_EXCL);
    if (code < 0) return failed("cannot make the bridge " + bridge.name, code);
    QVD_TRY(const Link made, find_link(socket, bridge.name));
    if (!made) return failed("the new bridge " + bridge.name + " has vanished", -NLE_OBJ_NOTFOUND);
    const Link mark(rtnl_link_alloc());
    rtnl_link_set_ifalias(mark.get(), our_mark);
    const int marked = rtnl_link_change(socket, made.get(), mark.get(), 0);
    if (marked < 0) return failed("cannot mark the bridge " + bridge.name, marked);
    return {};
}

Result<void> bring_up(nl_sock* socket, rtnl_link* link, const std::string& name) {
    const Link change(rtnl_link_alloc());
    rtnl_link_set_flags(change.get(), IFF_UP);
    const int code = rtnl_link_change(socket, link, change.get(), 0);
    if (code < 0) return failed("cannot bring up the bridge " + name, code);
    return {};
}

Result<void> give_address(nl_sock* socket, int index, const Bridge& bridge) {
    const std::string text = to_text(bridge.address) + "/" + std::to_string(bridge.prefix);
    nl_addr* parsed = nullptr;
    int code = nl_addr_parse(text.c_str(), AF_INET, &parsed);
    if (code < 0) return failed("bad address " + text, code);
    const Raw raw(parsed);
    const Address address(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(address.get(), index);
    rtnl_addr_set_local(address.get(), raw.get());
    code = rtnl_addr_add(socket, address.get(), 0);
    if (code < 0 && code != -NLE_EXIST)
        return failed("cannot give " + text + " to the bridge " + bridge.name, code);
    return {};
}

Result<bool> has_address(nl_sock* socket, std::uint32_t wanted) {
    nl_cache* filled = nullptr;
    const int code = rtnl_addr_alloc_cache(socket, &filled);
    if (code < 0) return failed("cannot read this machine's addresses", code);
    const Cache cache(filled);
    for (nl_object* one = nl_cache_get_first(cache.get()); one != nullptr;
         one = nl_cache_get_next(one)) {
        auto* const address = reinterpret_cast<rtnl_addr*>(one);  // NOLINT: libnl's own way
        nl_addr* const local = rtnl_addr_get_local(address);
        if (local == nullptr || nl_addr_get_family(local) != AF_INET) continue;
        std::uint32_t raw = 0;
        std::copy_n(static_cast<const char*>(nl_addr_get_binary_addr(local)), sizeof raw,
                    reinterpret_cast<char*>(&raw));  // NOLINT: bytes of a number
        if (ntohl(raw) == wanted) return true;
    }
    return false;
}

}  // namespace

bool is_device_name(const std::string& name) {
    return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
           std::all_of(name.begin(), name.end(), [](char letter) {
               return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                      (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
                      letter == '.';
           });
}

Result<void> make_bridge(const Bridge& bridge) {
    QVD_TRY(const Socket socket, open_socket());
    QVD_TRY(Link link, find_link(socket.get(), bridge.name));
    if (!link) {
        QVD_CHECK(create(socket.get(), bridge));
        QVD_TRY(link, find_link(socket.get(), bridge.name));
        if (!link)
            return failed("the new bridge " + bridge.name + " has vanished", -NLE_OBJ_NOTFOUND);
    }
    QVD_CHECK(check_is_bridge(link.get(), bridge.name));
    QVD_CHECK(bring_up(socket.get(), link.get(), bridge.name));
    return give_address(socket.get(), rtnl_link_get_ifindex(link.get()), bridge);
}

Result<void> find_bridge(const Bridge& bridge) {
    QVD_TRY(const Socket socket, open_socket());
    QVD_TRY(const Link link, find_link(socket.get(), bridge.name));
    if (!link)
        return Error{ErrorKind::not_found, "network.bridge",
                     "there is no bridge " + bridge.name +
                         ": make it, name another in vm.network.bridge, or set "
                         "vm.network.bridge.create = 1"};
    QVD_CHECK(check_is_bridge(link.get(), bridge.name));
    if ((rtnl_link_get_flags(link.get()) & IFF_UP) == 0)
        return Error{ErrorKind::unavailable, "network.bridge",
                     "the bridge " + bridge.name + " is down: ip link set " + bridge.name + " up"};
    QVD_TRY(const bool present, has_address(socket.get(), bridge.address));
    if (!present)
        return Error{ErrorKind::unavailable, "network.address",
                     "no device of this machine has this node's address " +
                         to_text(bridge.address) + ", as `qa host list` shows it"};
    return {};
}

Result<std::optional<bool>> is_bridge(const std::string& name) {
    QVD_TRY(const Socket socket, open_socket());
    QVD_TRY(const Link link, find_link(socket.get(), name));
    if (!link) return std::optional<bool>{};
    return std::optional(check_is_bridge(link.get(), name).ok());
}

Result<void> remove_bridge(const std::string& name) {
    QVD_TRY(const Socket socket, open_socket());
    QVD_TRY(const Link link, find_link(socket.get(), name));
    if (!link) return {};
    const char* const mark = rtnl_link_get_ifalias(link.get());
    if (mark == nullptr || std::string_view(mark) != our_mark) return {};
    const int code = rtnl_link_delete(socket.get(), link.get());
    if (code < 0) return failed("cannot remove the bridge " + name, code);
    return {};
}

}  // namespace qvd::hkd::network
