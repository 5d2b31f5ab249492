// Whether the kernel has heard anything of an address on a link of this node.
#pragma once

#include <string>
#include <string_view>

namespace qvd::hkd {

enum class Neighbour {
    unknown,  // it was not asked for lately, or is not on a link of this node
    silent,   // it was asked for, and nobody answers
    present,
};

// Of a table as in /proc/net/arp.
Neighbour neighbour_in(std::string_view table, std::string_view address);
Neighbour neighbour(const std::string& address);

}  // namespace qvd::hkd
