// What dnsmasq is told.
#include "base/text.hpp"
#include "hkd/network/address_server.hpp"

#include <grp.h>
#include <pwd.h>

#include <algorithm>

namespace qvd::hkd::network {

namespace {

bool is_node(const AddressPlan& plan, const std::string& server) {
    const auto address = parse_ipv4(server);
    return address.ok() && plan.addresses.is_node(*address);
}

// Its own account, or that of nobody; its group by number is not taken.
std::string account() {
    const passwd* own = ::getpwnam("qvd-dns");  // NOLINT(concurrency-mt-unsafe): one thread asks
    if (own == nullptr) own = ::getpwnam("nobody");  // NOLINT(concurrency-mt-unsafe)
    if (own == nullptr) return {};
    std::string text = std::string("user=") + own->pw_name + "\n";
    const group* const its = ::getgrgid(own->pw_gid);  // NOLINT(concurrency-mt-unsafe)
    if (its != nullptr) text += std::string("group=") + its->gr_name + "\n";
    return text;
}

bool is_word_of_a_machine(const std::string& name) {
    const auto is_inner = [](char letter) {
        return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
               (letter >= '0' && letter <= '9') || letter == '-';
    };
    return !name.empty() && name.size() <= 63 && name.front() != '-' && name.back() != '-' &&
           std::ranges::all_of(name, is_inner);
}

// Those outside, for the names that it does not know; none: as this machine asks itself.
std::string upstream(const AddressPlan& plan) {
    std::string text;
    for (const std::string& server : plan.dns_servers)
        if (!is_node(plan, server)) text += "server=" + server + "\n";
    return text.empty() ? text : "no-resolv\n" + text;
}

std::string domain_lines(const std::string& domain) {
    if (domain.empty()) return {};
    // What is not there in its own domain is nowhere.
    return "domain=" + domain + "\nexpand-hosts\nlocal=/" + domain + "/\n";
}

}  // namespace

bool asks_node_for_names(const AddressPlan& plan) {
    return plan.dns_servers.empty() ||
           std::ranges::any_of(plan.dns_servers, [&plan](const std::string& server) {
               return is_node(plan, server);
           });
}

std::string settings_text(const AddressPlan& plan) {
    const std::string own = to_text(plan.node);
    std::string text =
        "# Written by qvd-node for " + plan.program + "; it does not read changes.\n";
    text += account();
    text += "interface=" + plan.bridge + "\nexcept-interface=lo\nbind-dynamic\n";
    // Nothing is kept: each address belongs to one card. The name of a VM that has gone is answered
    // until its lease is over.
    text += "dhcp-range=" + to_text(plan.addresses.vm_first) + ",static,2h\n";
    text += "dhcp-authoritative\ndhcp-ignore=tag:!known\ndhcp-ignore-names\nleasefile-ro\n";
    text += "no-ping\ndhcp-lease-max=50000\n";
    text += "dhcp-hostsfile=" + plan.folder + "/vms.dhcp\n";
    text += "dhcp-option=option:router," + (plan.gateway.empty() ? own : plan.gateway) + "\n";
    const std::string servers = plan.dns_servers.empty() ? own : text::join(plan.dns_servers, ",");
    text += "dhcp-option=option:dns-server," + servers + "\n";
    text += domain_lines(plan.domain);
    if (!asks_node_for_names(plan)) return text + "port=0\n";
    text += "no-hosts\naddn-hosts=" + plan.folder + "/vms.hosts\ndomain-needed\nbogus-priv\n";
    return text + upstream(plan);
}

std::string lease_line(const VmLink& vm) {
    return vm.mac + "," + vm.address +
           (is_word_of_a_machine(vm.name) ? "," + vm.name + "\n" : std::string("\n"));
}

std::string name_line(const VmLink& vm) {
    return is_word_of_a_machine(vm.name) ? vm.address + " " + vm.name + "\n" : std::string();
}

}  // namespace qvd::hkd::network
