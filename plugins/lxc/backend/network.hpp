// The node's ends of network devices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace qvd::lxc {

bool link_exists(const std::string& name);
// True once there is no such device. [blocks for the kernel's answer]
bool delete_link(const std::string& name);
// Devices named by this prefix and a VM's number.
std::vector<std::uint64_t> vms_with_links(const std::string& prefix);

}  // namespace qvd::lxc
