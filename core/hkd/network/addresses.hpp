// The VMs' network as configured: which addresses are nodes', which are VMs' (behaviour 2.11).
#pragma once

#include "base/result.hpp"
#include "config/view.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::hkd::network {

// An IPv4 address in host byte order.
Result<std::uint32_t> parse_ipv4(std::string_view text);
std::string to_text(std::uint32_t address);
// "24" or "255.255.255.0". Errors: network.netmask.
Result<int> parse_netmask(std::string_view text);

// All ends are inclusive.
struct Addresses {
    std::uint32_t network = 0;
    std::uint32_t broadcast = 0;
    int prefix = 0;
    std::uint32_t node_first = 0;
    std::uint32_t node_last = 0;
    std::uint32_t vm_first = 0;
    std::uint32_t vm_last = 0;

    [[nodiscard]] std::string text() const;  // "10.3.15.0/24"
    [[nodiscard]] bool is_node(std::uint32_t address) const {
        return address >= node_first && address <= node_last;
    }
    [[nodiscard]] bool is_vm(std::uint32_t address) const {
        return address >= vm_first && address <= vm_last;
    }
};

// Errors: network.netmask, network.ip_start; the sentence names the key.
Result<Addresses> addresses_of(const config::View& view);

// `prefix` and the last three bytes of the address: "54:52:00:03:0f:07".
std::string mac_of(std::string_view prefix, std::uint32_t address);

}  // namespace qvd::hkd::network
