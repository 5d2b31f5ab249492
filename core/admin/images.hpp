// Image files on their way into path.storage.images.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace qvd::admin {

// Copies `source` into `folder` under a name that no reader looks at; returns that path. The file
// is on disk when it returns. Space is checked first. Errors: image.missing, image.no_space,
// image.copy; nothing is left behind then.
Result<std::string> copy_image(const std::string& source, const std::string& folder,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress);

}  // namespace qvd::admin
