#include "hkd/network/firewall.hpp"

#include "base/text.hpp"
#include "hkd/network/links.hpp"

#include <nftables/libnftables.h>

#include <algorithm>
#include <array>

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

// What the sets of the bridged table say of one link, in their order.
constexpr std::array sets{"vm_links", "vm_cards", "vm_askers"};
constexpr std::array types{"type ifname . ether_addr . ipv4_addr", "type ifname . ether_addr",
                           // the client's hardware address in a DHCP request
                           "typeof iifname . @th,288,48"};
using Elements = std::array<std::string, sets.size()>;

// What is put into a ruleset must be what it says: these texts come from configuration.
Result<Elements> elements_of(const VmLink& link) {
    QVD_CHECK(check_name(link.device));
    QVD_TRY(const std::uint32_t address, parse_ipv4(link.address));
    if (!is_mac(link.mac))
        return Error{ErrorKind::invalid, "network.name",
                     text::quoted(link.mac) + " is not a MAC address (vm.network.mac.prefix)"};
    const std::string card = "\"" + link.device + "\" . " + link.mac;
    std::string digits = link.mac;
    std::erase(digits, ':');
    return Elements{card + " . " + to_text(address), card, "\"" + link.device + "\" . 0x" + digits};
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

// Of frames from VMs, whoever they are for: a VM is heard as itself or not at all, in IPv4 and ARP,
// and speaks for nobody else to the DHCP server. To nodes it sends no fragments: what a rule is to
// read could be in the second.
std::string as_itself(const FirewallPlan& plan, const std::string& links) {
    const Addresses& addresses = plan.addresses;
    const std::string server = "{ " + range(addresses.node_first, addresses.node_last) + ", " +
                               to_text(addresses.broadcast) + ", 255.255.255.255 }";
    std::string text = " chain only_as_itself {\n";
    text += "  type filter hook prerouting priority -300; policy accept;\n";
    text += "  iifname != " + links + " accept\n";
    text += "  ether type ip ip daddr " + server + " ip frag-off & 0x3fff != 0 drop\n";
    text += "  ether type ip udp dport 67 iifname . @th,288,48 != @vm_askers drop\n";
    text += "  ether type ip iifname . ether saddr . ip saddr @vm_links accept\n";
    text +=
        "  ether type arp iifname . ether saddr . arp saddr ip @vm_links "
        "iifname . arp saddr ether . arp saddr ip @vm_links accept\n";
    if (plan.vms_use_dhcp)
        text +=
            "  ether type ip iifname . ether saddr @vm_cards ip saddr 0.0.0.0 "
            "udp sport 68 udp dport 67 accept\n";
    text += "  drop\n }\n";
    // What is for the bridge itself (spanning tree, 01:80:c2:...) passes only here.
    text += " chain nothing_else_here {\n";
    text += "  type filter hook input priority -200; policy accept;\n";
    return text + "  iifname " + links + " ether type != { ip, arp } drop\n }\n";
}

// Of frames between ports of the bridge, which no other table sees. This family knows no
// connections: of what VMs send to other nodes, the first packet of a connection is dropped.
std::string between_ports(const FirewallPlan& plan, const std::string& links) {
    const std::string vms = range(plan.addresses.vm_first, plan.addresses.vm_last);
    const std::string nodes = range(plan.addresses.node_first, plan.addresses.node_last);
    const std::string vm_to_node = "  ether type ip ip saddr " + vms + " ip daddr " + nodes;
    std::string text = " chain between_ports {\n";
    text += "  type filter hook forward priority -200; policy accept;\n";
    text += "  iifname " + links + " oifname " + links + " drop\n";
    // From the VM of another node, to everybody too.
    text += "  oifname " + links + " ether type ip ip saddr " + vms + " drop\n";
    text += "  iifname " + links + " ether type ip udp dport 67 drop\n";
    if (plan.vms_use_dhcp)
        text += "  oifname " + links + " ether type ip udp sport 67 udp dport 68 drop\n";
    text += "  ether type ip ip saddr " + vms + " ip daddr " + vms + " drop\n";
    text += vm_to_node + " tcp flags & (syn | ack) != syn accept\n";
    return text + vm_to_node + " drop\n }\n";
}

std::string bridged_table(const FirewallPlan& plan, const std::vector<Elements>& elements) {
    const std::string links = "\"" + plan.device_prefix + "*\"";
    std::string text = "table bridge " + table_of(plan.device_prefix) + " {\n";
    for (std::size_t set = 0; set < sets.size(); ++set) {
        std::vector<std::string> those;
        those.reserve(elements.size());
        for (const Elements& one : elements) those.push_back(one.at(set));
        text += std::string(" set ") + sets.at(set) + " {\n  " + types.at(set) + "\n";
        if (!those.empty()) text += "  elements = { " + text::join(those, ", ") + " }\n";
        text += " }\n";
    }
    return text + as_itself(plan, links) + between_ports(plan, links) + "}\n";
}

std::string commands(const char* verb, const std::string& table, const Elements& elements) {
    std::string text;
    for (std::size_t set = 0; set < sets.size(); ++set)
        text += std::string(verb) + " element bridge " + table + " " + sets.at(set) + " { " +
                elements.at(set) + " }\n";
    return text;
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
    std::vector<Elements> elements;
    for (const VmLink& link : plan.links) {
        QVD_TRY(Elements one, elements_of(link));
        elements.push_back(std::move(one));
    }
    return without_tables(plan.device_prefix) + routed_table(plan) + bridged_table(plan, elements);
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
    table_ = table_of(plan.device_prefix);
    return {};
}

Result<void> Firewall::admit(const VmLink& link) {
    QVD_TRY(const Elements elements, elements_of(link));
    return run(commands("add", table_, elements));
}

Result<void> Firewall::expel(const VmLink& link) {
    QVD_TRY(const Elements elements, elements_of(link));
    return run(commands("add", table_, elements) + commands("delete", table_, elements));
}

Result<void> Firewall::remove(const std::string& device_prefix) {
    QVD_CHECK(check_name(device_prefix));
    return run(without_tables(device_prefix));
}

}  // namespace qvd::hkd::network
