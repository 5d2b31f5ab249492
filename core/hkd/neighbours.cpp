#include "hkd/neighbours.hpp"

#include "base/file.hpp"

#include <charconv>
#include <sstream>

namespace qvd::hkd {

namespace {

constexpr std::size_t longest_table = 4U << 20U;
constexpr unsigned complete = 2;  // ATF_COM: its hardware address is known

unsigned hexadecimal(std::string_view text) {
    if (text.starts_with("0x")) text.remove_prefix(2);
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number, 16);
    return number;
}

}  // namespace

// IP address, type, flags, hardware address, mask, device; the first line names them.
Neighbour neighbour_in(std::string_view table, std::string_view address) {
    std::istringstream lines{std::string(table)};
    std::string line;
    while (std::getline(lines, line)) {
        std::istringstream words(line);
        std::string name;
        std::string type;
        std::string flags;
        if (!(words >> name >> type >> flags) || name != address) continue;
        return (hexadecimal(flags) & complete) != 0U ? Neighbour::present : Neighbour::silent;
    }
    return Neighbour::unknown;
}

Neighbour neighbour(const std::string& address) {
    const auto table = file::read("/proc/net/arp", longest_table);
    return table.ok() ? neighbour_in(*table, address) : Neighbour::unknown;
}

}  // namespace qvd::hkd
