#include "hkd/network/firewall.hpp"

#include "base/text.hpp"
#include "hkd/network/links.hpp"

#include <nftables/libnftables.h>

#include <algorithm>

namespace qvd::hkd::network {

namespace {

Result<void> check_name(const std::string& name) {
    if (is_device_name(name)) return {};
    return Error{ErrorKind::invalid, "network.name",
                 text::quoted(name) + " cannot be the name of a network device"};
}

bool is_mac(const std::string& mac) {
    return mac.size() == 17 && std::all_of(mac.begin(), mac.end(), [](char letter) {
               return letter == ':' || (letter >= '0' && letter <= '9') ||
                      (letter >= 'a' && letter <= 'f') || (letter >= 'A' && letter <= 'F');
           });
}

// What is put into a ruleset must be what it says: these texts come from configuration.
Result<std::string> element_of(const VmLink& link) {
    QVD_CHECK(check_name(link.device));
    QVD_TRY(const std::uint32_t address, parse_ipv4(link.address));
    if (!is_mac(link.mac))
        return Error{ErrorKind::invalid, "network.name",
                     text::quoted(link.mac) + " is not a MAC address (vm.network.mac.prefix)"};
    return "\"" + link.device + "\" . " + link.mac + " . " + to_text(address);
}

std::string range(std::uint32_t first, std::uint32_t last) {
    return first == last ? to_text(first) : to_text(first) + "-" + to_text(last);
}

// Nodes beside one another on one machine tell their VMs' links apart by the prefix.
std::string table_of(const std::string& device_prefix) {
    return device_prefix == "qvd" ? device_prefix : "qvd-" + device_prefix;
}

// Of packets that reach this machine or pass through it by routing. What the kernel knows as part
// of a connection from here may come back.
std::string routed_table(const FirewallPlan& plan) {
    const std::string vms = range(plan.addresses.vm_first, plan.addresses.vm_last);
    const std::string nodes = range(plan.addresses.node_first, plan.addresses.node_last);
    std::string text = "table inet " + table_of(plan.device_prefix) + " {\n";
    text += " chain from_vms_here {\n";
    text += "  type filter hook input priority filter - 10; policy accept;\n";
    text += "  ip saddr != " + vms + " return\n";
    text += "  meta nfproto ipv6 return\n";
    text += "  ct state established,related accept\n";
    if (plan.vms_use_dhcp) text += "  udp dport 67 accept\n";
    if (plan.nodes_are_dns) text += "  meta l4proto { tcp, udp } th dport 53 accept\n";
    text += "  drop\n }\n";
    text += " chain from_vms_through {\n";
    text += "  type filter hook forward priority filter - 10; policy accept;\n";
    text += "  meta nfproto ipv6 return\n";
    text += "  ip saddr != " + vms + " return\n";
    text += "  ct state established,related accept\n";
    text += "  ip daddr " + nodes + " drop\n";
    text += "  ip daddr " + vms + " drop\n }\n";
    if (!plan.nat_interface.empty()) {
        text += " chain to_the_world {\n";
        text += "  type nat hook postrouting priority srcnat; policy accept;\n";
        text += "  ip saddr " + vms + " oifname \"" + plan.nat_interface + "\" masquerade\n }\n";
    }
    return text + "}\n";
}

// Of frames between ports of the bridge, which no other table sees. This family knows no
// connections: of what VMs send to other nodes, the first packet of a connection is dropped.
std::string bridged_table(const FirewallPlan& plan, const std::string& elements) {
    const std::string vms = range(plan.addresses.vm_first, plan.addresses.vm_last);
    const std::string nodes = range(plan.addresses.node_first, plan.addresses.node_last);
    const std::string links = "\"" + plan.device_prefix + "*\"";
    std::string text = "table bridge " + table_of(plan.device_prefix) + " {\n";
    text += " set vm_links {\n  type ifname . ether_addr . ipv4_addr\n";
    if (!elements.empty()) text += "  elements = { " + elements + " }\n";
    text += " }\n chain only_as_itself {\n";
    text += "  type filter hook prerouting priority -300; policy accept;\n";
    text += "  iifname != " + links + " accept\n";
    text += "  ether type ip iifname . ether saddr . ip saddr @vm_links accept\n";
    text += "  ether type arp iifname . ether saddr . arp saddr ip @vm_links accept\n";
    if (plan.vms_use_dhcp)
        text += "  ether type ip ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept\n";
    text += "  drop\n }\n chain between_ports {\n";
    text += "  type filter hook forward priority -200; policy accept;\n";
    text += "  iifname " + links + " oifname " + links + " drop\n";
    text += "  ether type ip ip saddr " + vms + " ip daddr " + vms + " drop\n";
    text += "  ether type ip ip saddr " + vms + " ip daddr " + nodes +
            " tcp flags & (syn | ack) == syn drop\n";
    text += "  ether type ip ip saddr " + vms + " ip daddr " + nodes + " ip protocol tcp accept\n";
    text += "  ether type ip ip saddr " + vms + " ip daddr " + nodes + " drop\n";
    return text + " }\n}\n";
}

// Deleting what may not be there is an error, adding what is there is none.
std::string without_tables(const std::string& device_prefix) {
    std::string text;
    for (const char* const family : {"inet ", "bridge "}) {
        const std::string table = " table " + (family + table_of(device_prefix)) + "\n";
        text += "add" + table + "delete" + table;
    }
    return text;
}

}  // namespace

Result<std::string> firewall_text(const FirewallPlan& plan) {
    QVD_CHECK(check_name(plan.device_prefix));
    if (!plan.nat_interface.empty()) QVD_CHECK(check_name(plan.nat_interface));
    std::vector<std::string> elements;
    for (const VmLink& link : plan.links) {
        QVD_TRY(std::string element, element_of(link));
        elements.push_back(std::move(element));
    }
    return without_tables(plan.device_prefix) + routed_table(plan) +
           bridged_table(plan, text::join(elements, ", "));
}

struct Firewall::Context {
    nft_ctx* nft = nft_ctx_new(NFT_CTX_DEFAULT);
};

Firewall::Firewall() : context_(std::make_unique<Context>()) {
    nft_ctx_buffer_error(context_->nft);
    nft_ctx_buffer_output(context_->nft);
}

Firewall::~Firewall() {
    nft_ctx_free(context_->nft);
}

Result<void> Firewall::run(const std::string& commands) {
    if (nft_run_cmd_from_buffer(context_->nft, commands.c_str()) == 0) return {};
    std::string why(text::trim(nft_ctx_get_error_buffer(context_->nft)));
    std::replace(why.begin(), why.end(), '\n', ' ');
    return Error{ErrorKind::unavailable, "network.firewall",
                 "the kernel refuses the firewall rules: " + why};
}

Result<void> Firewall::replace(const FirewallPlan& plan) {
    QVD_TRY(const std::string text, firewall_text(plan));
    QVD_CHECK(run(text));
    set_of_links_ = "bridge " + table_of(plan.device_prefix) + " vm_links";
    return {};
}

Result<void> Firewall::admit(const VmLink& link) {
    QVD_TRY(const std::string element, element_of(link));
    return run("add element " + set_of_links_ + " { " + element + " }\n");
}

Result<void> Firewall::expel(const VmLink& link) {
    QVD_TRY(const std::string element, element_of(link));
    const std::string set = " element " + set_of_links_ + " { " + element + " }\n";
    return run("add" + set + "delete" + set);
}

Result<void> Firewall::remove(const std::string& device_prefix) {
    QVD_CHECK(check_name(device_prefix));
    return run(without_tables(device_prefix));
}

}  // namespace qvd::hkd::network
