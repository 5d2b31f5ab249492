#include "hkd/network/network.hpp"

#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "hkd/network/links.hpp"

#include <unistd.h>

#include <fstream>

namespace qvd::hkd::network {

namespace {

constexpr const char* forwarding_switch = "/proc/sys/net/ipv4/ip_forward";

std::string forwarding_before(const config::View& view) {
    return view.get(config::path_run) + "/ip_forward.before";
}

// The switch is a file of the kernel's: it takes no renaming.
Result<void> set_forwarding(const std::string& value) {
    std::ofstream out(forwarding_switch);
    out << value << std::flush;
    if (!out)
        return errno_error("network.forwarding", "cannot write " + std::string(forwarding_switch));
    return {};
}

// What it was is remembered once, until remove().
Result<void> forward(const config::View& view) {
    QVD_TRY(const std::string now, file::read(forwarding_switch, 16));
    if (text::trim(now) == "1") return {};
    const std::string before = forwarding_before(view);
    if (::access(before.c_str(), F_OK) != 0)
        QVD_CHECK(file::write_atomic(before, std::string(text::trim(now)) + "\n", 0600));
    return set_forwarding("1");
}

bool makes_bridge(const config::View& view, bool embedded) {
    return view.find(network_bridge_create).value_or(embedded);
}

std::string address_folder(const config::View& view) {
    return view.get(config::path_run) + "/network";
}

AddressPlan address_plan(const config::View& view, const Addresses& addresses, std::uint32_t own) {
    AddressPlan plan;
    plan.program = view.get(dnsmasq_program);
    plan.folder = address_folder(view);
    plan.log = view.get(config::path_log) + "/qvd-dnsmasq.log";
    plan.bridge = view.get(network_bridge);
    plan.addresses = addresses;
    plan.node = own;
    plan.gateway = view.get(network_gateway);
    plan.dns_servers = view.get(network_dns_server);
    plan.domain = view.get(network_domain);
    return plan;
}

}  // namespace

std::optional<VmLink> link_of(const plugin::VmSpec& vm, const std::string& address) {
    if (vm.nics.empty() || vm.nics.front().mac.empty() || address.empty()) return std::nullopt;
    return VmLink{vm.nics.front().host_device, vm.nics.front().mac, address, vm.name};
}

Result<void> Network::raise(const config::View& view, const std::string& address, bool embedded,
                            const std::vector<VmLink>& links) {
    QVD_TRY(const Addresses addresses, addresses_of(view));
    QVD_TRY(const std::uint32_t own, parse_ipv4(address));
    if (!addresses.is_node(own))
        return Error{ErrorKind::invalid, "network.address",
                     "this node's address " + address + " is not one for nodes of " +
                         addresses.text() + " (" + to_text(addresses.node_first) + " to " +
                         to_text(addresses.node_last) + "): see vm.network.ip.start"};
    const Bridge bridge{view.get(network_bridge), mac_of(view.get(network_mac_prefix), own), own,
                        addresses.prefix};
    if (!is_device_name(bridge.name))
        return Error{ErrorKind::invalid, "network.name",
                     "vm.network.bridge = " + text::quoted(bridge.name) +
                         " cannot be the name of a network device"};
    QVD_CHECK(makes_bridge(view, embedded) ? make_bridge(bridge) : find_bridge(bridge));

    const AddressPlan serving = address_plan(view, addresses, own);
    QVD_CHECK(guard(view, serving, links));
    if (server_ == nullptr) return {};
    if (view.get(network_use_dhcp)) return server_->raise(serving, links);
    return server_->remove(serving.folder);
}

Result<void> Network::guard(const config::View& view, const AddressPlan& serving,
                            std::vector<VmLink> links) {
    const std::string nat = view.get(network_nat_interface);
    if (!nat.empty()) QVD_CHECK(forward(view));
    guarded_ = view.get(network_firewall);
    const std::string prefix = view.get(network_device_prefix);
    if (!guarded_) return firewall_.remove(prefix);
    FirewallPlan plan;
    plan.addresses = serving.addresses;
    plan.device_prefix = prefix;
    plan.nat_interface = nat;
    plan.vms_use_dhcp = view.get(network_use_dhcp);
    // Where nobody asks for an address, each VM is told its servers, or that there are none.
    plan.nodes_are_dns =
        asks_node_for_names(serving) && (plan.vms_use_dhcp || !serving.dns_servers.empty());
    plan.links = std::move(links);
    return firewall_.replace(plan);
}

Result<void> Network::remove(const config::View& view) {
    guarded_ = false;
    if (server_ != nullptr) QVD_CHECK(server_->remove(address_folder(view)));
    QVD_CHECK(firewall_.remove(view.get(network_device_prefix)));
    QVD_CHECK(remove_bridge(view.get(network_bridge)));
    const std::string before = forwarding_before(view);
    const auto value = file::read(before, 16);
    if (!value.ok()) return {};
    QVD_CHECK(set_forwarding(std::string(text::trim(*value))));
    ::unlink(before.c_str());
    return {};
}

Result<void> Network::admit(const plugin::VmSpec& vm, const std::string& address) {
    const auto link = link_of(vm, address);
    if (!link) return {};
    if (server_ != nullptr) QVD_CHECK(server_->admit(*link));
    if (!guarded_) return {};
    return firewall_.admit(*link);
}

Result<void> Network::expel(const plugin::VmSpec& vm, const std::string& address) {
    const auto link = link_of(vm, address);
    if (!link) return {};
    if (server_ != nullptr) QVD_CHECK(server_->expel(*link));
    if (!guarded_) return {};
    return firewall_.expel(*link);
}

}  // namespace qvd::hkd::network
