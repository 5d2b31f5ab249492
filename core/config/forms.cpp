#include "config/forms.hpp"

#include "base/log.hpp"
#include "base/text.hpp"

#include <arpa/inet.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <bit>

namespace qvd::config::form {

namespace {

constexpr std::size_t longest_name = 253;  // of a host in the DNS

bool is_letter_or_digit(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool consists_of(std::string_view text, std::string_view besides) {
    return std::ranges::all_of(text, [besides](char c) {
        return is_letter_or_digit(c) || besides.find(c) != std::string_view::npos;
    });
}

bool is_ipv4(std::string_view text) {
    in_addr address{};
    return ::inet_pton(AF_INET, std::string(text).c_str(), &address) == 1;
}

bool is_ipv6(std::string_view text) {
    in6_addr address{};
    // Behind a % the interface of a link-local one.
    return ::inet_pton(AF_INET6, std::string(text.substr(0, text.find('%'))).c_str(), &address) ==
           1;
}

bool is_netmask(std::string_view text) {
    constexpr int fewest = 8;
    constexpr int most = 30;
    const auto in_range = [](std::int64_t ones) { return ones >= fewest && ones <= most; };
    if (const auto number = text::to_integer(text)) return in_range(*number);
    in_addr mask{};
    if (::inet_pton(AF_INET, std::string(text).c_str(), &mask) != 1) return false;
    const std::uint32_t bits = ntohl(mask.s_addr);
    return std::popcount(bits) == std::countl_one(bits) && in_range(std::popcount(bits));
}

bool is_mac_prefix(std::string_view text) {
    constexpr std::size_t length = 8;
    if (text.size() != length || text[2] != ':' || text[5] != ':') return false;
    for (const std::size_t at : {0U, 1U, 3U, 4U, 6U, 7U})
        if (!is_hex(text[at])) return false;
    // An odd first byte is that of a group.
    return std::string_view("02468ace").find(text::lower(text.substr(1, 1))) !=
           std::string_view::npos;
}

bool is_host(std::string_view text) {
    if (is_ipv6(text)) return true;
    const bool only_digits = text.find_first_not_of("0123456789.") == std::string_view::npos;
    if (only_digits) return is_ipv4(text);
    return text.size() <= longest_name && consists_of(text, "-_.") && text.front() != '-' &&
           text.front() != '.';
}

bool is_server(std::string_view text) {
    return is_host(text) || (text.starts_with('/') && text.find(' ') == std::string_view::npos);
}

bool is_listener(std::string_view text) {
    return text == "*" || is_host(text);
}

// What the kernel takes.
bool is_device(std::string_view text) {
    return !text.empty() && text.size() < IF_NAMESIZE && text != "." && text != ".." &&
           std::ranges::none_of(text,
                                [](char c) { return c == '/' || c == ':' || c <= ' ' || c > '~'; });
}

bool is_device_stem(std::string_view text) {
    constexpr std::size_t longest = 8;
    return is_device(text) && text.size() <= longest;
}

bool is_node_name(std::string_view text) {
    constexpr std::size_t longest = 127;
    return text.size() <= longest &&
           std::ranges::none_of(text, [](char c) { return c >= 0 && (c <= ' ' || c == '\x7f'); });
}

bool is_plugin_name(std::string_view text) {
    constexpr std::size_t longest = 64;
    return text.size() <= longest && std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
           });
}

bool is_root_logger(std::string_view text) {
    const auto words = text::split_list(text);
    return !words.empty() && log::parse_level(words.front()).ok();
}

}  // namespace

const Form ipv4{"an IPv4 address like 10.3.15.1", &is_ipv4};
const Form netmask{"a prefix length from 8 to 30 or a mask like 255.255.255.0", &is_netmask};
const Form mac_prefix{"three pairs of hexadecimal digits like 54:52:00, the first one even",
                      &is_mac_prefix};
const Form host{"a host name or an address", &is_host};
const Form server{"a host name, an address or the folder of a socket", &is_server};
const Form listener{"* or an address of this machine", &is_listener};
const Form device{"the name of a network interface, of at most 15 characters", &is_device};
const Form device_stem{"the beginning of the names of network interfaces, of at most 8 characters",
                       &is_device_stem};
const Form node_name{"one word of at most 127 characters", &is_node_name};
const Form plugin_name{"the name of a plugin, made of a-z, 0-9 and -", &is_plugin_name};
const Form root_logger{
    "a level (ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL, OFF), perhaps with \", SYSLOG\" behind",
    &is_root_logger};

}  // namespace qvd::config::form
