// What an image file is, by its first bytes and by its name.
#pragma once

#include "base/result.hpp"

#include <string>

namespace qvd::admin {

// Nodes go by the name of an image (hkd::format_of()), and by its content once they open it: both
// must be a tar archive, packed or not, or both a qcow2 or raw disk. The sentence says what was
// found. not_found "image.missing"; invalid "image.kind".
Result<void> check_image_kind(const std::string& path);

}  // namespace qvd::admin
