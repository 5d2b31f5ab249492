// What an image file is, by its first bytes and by its name.
#pragma once

#include "base/result.hpp"

#include <string>

namespace qvd::admin {

// Nodes go by the name of an image (hkd::format_of()), and by its content once they open it: both
// must be a tar archive, packed or not, or both a qcow2 or raw disk. The sentence says what was
// found. not_found "image.missing"; invalid "image.kind".
Result<void> check_image_kind(const std::string& path);

// Whether VMs of this hypervisor can be made from a file of this name: containers are unpacked from
// archives, virtual machines run disks; of any other plugin nothing is known. invalid
// "image.hypervisor".
Result<void> check_image_fits(const std::string& path, const std::string& hypervisor);

}  // namespace qvd::admin
