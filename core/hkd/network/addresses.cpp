#include "hkd/network/addresses.hpp"

#include "base/text.hpp"
#include "hkd/keys.hpp"

#include <arpa/inet.h>

#include <array>
#include <bit>
#include <cstdio>

namespace qvd::hkd::network {

namespace {

Error wrong(std::string code, const char* key, std::string_view text, std::string_view wanted) {
    return {ErrorKind::invalid, std::move(code),
            std::string(key) + " = " + text::quoted(text) + " is not " + std::string(wanted)};
}

}  // namespace

Result<std::uint32_t> parse_ipv4(std::string_view text) {
    in_addr parsed{};
    if (inet_pton(AF_INET, std::string(text).c_str(), &parsed) != 1)
        return Error{ErrorKind::invalid, "network.address",
                     text::quoted(text) + " is not an IPv4 address"};
    return ntohl(parsed.s_addr);
}

std::string to_text(std::uint32_t address) {
    const in_addr raw{htonl(address)};
    std::array<char, INET_ADDRSTRLEN> text{};
    inet_ntop(AF_INET, &raw, text.data(), text.size());
    return text.data();
}

Result<int> parse_netmask(std::string_view text) {
    const auto number = text::to_integer(text);
    if (number && *number >= 8 && *number <= 30) return static_cast<int>(*number);
    const auto mask = parse_ipv4(text);
    if (mask.ok()) {
        const int ones = std::countl_one(*mask);
        if (std::popcount(*mask) == ones && ones >= 8 && ones <= 30) return ones;
    }
    return wrong("network.netmask", network_netmask.name, text,
                 "a prefix length from 8 to 30 or a mask like 255.255.255.0");
}

std::string Addresses::text() const {
    return to_text(network) + "/" + std::to_string(prefix);
}

Result<Addresses> addresses_of(const config::View& view) {
    const auto netmask = view.find(network_netmask);
    const auto start = view.find(network_ip_start);
    if (!netmask) return wrong("network.netmask", network_netmask.name, "", "set");
    if (!start) return wrong("network.ip_start", network_ip_start.name, "", "set");
    Addresses addresses;
    QVD_TRY(addresses.prefix, parse_netmask(*netmask));
    const auto first = parse_ipv4(*start);
    if (!first.ok())
        return wrong("network.ip_start", network_ip_start.name, *start, "an IPv4 address");

    const std::uint32_t mask = ~std::uint32_t{0} << static_cast<unsigned>(32 - addresses.prefix);
    addresses.network = *first & mask;
    addresses.broadcast = addresses.network | ~mask;
    addresses.node_first = addresses.network + 1;
    addresses.node_last = *first - 1;
    addresses.vm_first = *first;
    addresses.vm_last = addresses.broadcast - 1;
    if (addresses.vm_first <= addresses.node_first || addresses.vm_first > addresses.vm_last)
        return wrong("network.ip_start", network_ip_start.name, *start,
                     "an address inside " + addresses.text() +
                         " that leaves at least the one before it to nodes");
    return addresses;
}

std::string mac_of(std::string_view prefix, std::uint32_t address) {
    std::array<char, 16> tail{};
    (void)std::snprintf(tail.data(), tail.size(), ":%02x:%02x:%02x", (address >> 16U) & 0xffU,
                        (address >> 8U) & 0xffU, address & 0xffU);
    return std::string(prefix) + tail.data();
}

}  // namespace qvd::hkd::network
