// The node's ends of network devices.
#pragma once

#include <string>

namespace qvd::lxc {

bool link_exists(const std::string& name);
// True once there is no such device. [blocks for the kernel's answer]
bool delete_link(const std::string& name);

}  // namespace qvd::lxc
