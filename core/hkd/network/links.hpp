// Bridges and addresses of this machine, by netlink.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace qvd::hkd::network {

// May be used as the name of a network device: letters, digits, - _ . and at most 15 of them.
bool is_device_name(const std::string& name);

struct Bridge {
    std::string name;
    std::string mac;            // fixed, so that it does not change with its ports
    std::uint32_t address = 0;  // the node's
    int prefix = 24;
};

// The bridge is there, up, and has the address; one that is missing is made, and marked as ours.
// Errors: network.bridge.
Result<void> make_bridge(const Bridge& bridge);
// The bridge is there and up, and some device has the address. Errors: network.bridge,
// network.address; the sentence says what to do.
Result<void> find_bridge(const Bridge& bridge);
// Whether the device `name` is a bridge; nothing: there is no such device. Errors: network.bridge.
Result<std::optional<bool>> is_bridge(const std::string& name);
// Removes it if make_bridge() made it; otherwise nothing happens.
Result<void> remove_bridge(const std::string& name);

}  // namespace qvd::hkd::network
