#include "admin/doctor/checks.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "hkd/keys.hpp"
#include "hkd/network/addresses.hpp"
#include "hkd/network/links.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace qvd::admin::doctor {

namespace {

// The device that has the address; empty: none has.
std::string device_with(const std::string& address) {
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return {};
    std::string device;
    for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr || one->ifa_addr->sa_family != AF_INET) continue;
        sockaddr_in four{};
        std::memcpy(&four, one->ifa_addr, sizeof four);
        if (hkd::network::to_text(ntohl(four.sin_addr.s_addr)) == address) device = one->ifa_name;
    }
    ::freeifaddrs(all);
    return device;
}

Diagnosis check_address(const std::string& address, bool makes) {
    const std::string device = device_with(address);
    if (!device.empty()) return good("network.address", device + " has " + address);
    if (makes)
        return warning("network.address", "no device has the node's address " + address + " yet",
                       "the node gives it to its bridge at its start");
    return problem("network.address", "no device has the node's address " + address,
                   "give it to the bridge, or correct it with `qa host del` and `qa host add`");
}

// Asked of the kernel: sysfs shows the network of who mounted it.
Diagnosis check_device(const std::string& bridge, bool makes) {
    const std::string name = "network.bridge";
    const auto found = hkd::network::is_bridge(bridge);
    if (!found.ok()) return problem(name, found.error().sentence(), "run `qa doctor` as root");
    if (*found && **found) return good(name, "the bridge " + bridge + " is there");
    if (*found)
        return problem(name, bridge + " is a device, but no bridge",
                       "name another one with vm.network.bridge");
    if (makes) return good(name, "the node makes " + bridge + " at its start");
    return problem(name, "there is no bridge " + bridge,
                   "make it, or set vm.network.bridge.create = 1");
}

Diagnosis check_address_server(const config::View& view) {
    const std::string program = view.get(hkd::dnsmasq_program);
    if (::access(program.c_str(), X_OK) == 0)
        return good("network.dhcp", program + " tells VMs their addresses");
    return problem("network.dhcp",
                   "there is no program " + program +
                       ": VMs get no address, and none is started (vm.network.use_dhcp = 1)",
                   "apt-get install dnsmasq-base, set command.dnsmasq to where it is, or "
                   "vm.network.use_dhcp = 0");
}

enum class Answer { yes, no, unclear };

Answer connects(const sockaddr* address, socklen_t length) {
    const UniqueFd socket{
        ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return Answer::unclear;
    if (::connect(socket.get(), address, length) == 0) return Answer::yes;
    if (errno != EINPROGRESS) return errno == ECONNREFUSED ? Answer::no : Answer::unclear;
    constexpr int patience_ms = 2000;
    pollfd ready{socket.get(), POLLOUT, 0};
    if (::poll(&ready, 1, patience_ms) <= 0) return Answer::unclear;
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error == 0) return Answer::yes;
    return error == ECONNREFUSED ? Answer::no : Answer::unclear;
}

Answer connects_to(const std::string& address, std::uint16_t port) {
    sockaddr_in four{};
    sockaddr_in6 six{};
    if (::inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1) {
        four.sin_family = AF_INET;
        four.sin_port = htons(port);
        return connects(reinterpret_cast<const sockaddr*>(&four), sizeof four);  // NOLINT
    }
    if (::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) != 1) return Answer::unclear;
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    return connects(reinterpret_cast<const sockaddr*>(&six), sizeof six);  // NOLINT
}

}  // namespace

Diagnoses check_bridge(const config::View& view, const std::optional<std::string>& node_address,
                       bool embedded) {
    Diagnoses diagnoses;
    const auto addresses = hkd::network::addresses_of(view);
    if (!addresses.ok())
        return {problem("network.addresses", addresses.error().sentence(),
                        "set vm.network.ip.start and vm.network.netmask")};
    diagnoses.push_back(
        good("network.addresses", "VMs get " + hkd::network::to_text(addresses->vm_first) + " to " +
                                      hkd::network::to_text(addresses->vm_last)));
    const bool makes = view.find(hkd::network_bridge_create).value_or(embedded);
    diagnoses.push_back(check_device(view.get(hkd::network_bridge), makes));
    if (node_address) diagnoses.push_back(check_address(*node_address, makes));
    if (view.get(hkd::network_use_dhcp)) diagnoses.push_back(check_address_server(view));
    return diagnoses;
}

Diagnosis check_port(const config::View& view, const std::optional<std::string>& listening) {
    const std::string name = "l7r.port";
    const std::string configured = view.text("l7r.address").value_or("*");
    const auto port = text::to_integer(view.text(name).value_or("8443")).value_or(8443);
    const std::string address = configured == "*" || configured.empty() ? "127.0.0.1" : configured;
    const std::string shown = address + ":" + std::to_string(port);
    const Answer answer = connects_to(address, static_cast<std::uint16_t>(port));
    if (answer == Answer::no)
        return problem(name, "nobody listens on " + shown + ": clients cannot connect",
                       "start the node; `qvd-node status` says what it lacks");
    if (answer == Answer::unclear)
        return warning(name, "whether somebody listens on " + shown + " cannot be told",
                       "look with `ss -ltn`");
    if (!listening)
        return needs_root(name, "something listens on " + shown + "; whether it is the node");
    if (listening->empty())
        return problem(name, shown + " is taken by something that is not a running node",
                       "find it with `ss -ltnp` and end it, or choose another l7r.port");
    if (!listening->ends_with(":" + std::to_string(port)))
        return problem(name,
                       "the node listens on " + *listening + ", and something else on " + shown,
                       "`qvd-node reload` if l7r.port was changed");
    return good(name, "the node answers on " + shown);
}

}  // namespace qvd::admin::doctor
