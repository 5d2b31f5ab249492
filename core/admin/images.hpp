// Image files on their way into path.storage.images.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace qvd::admin {

// "copied" or "checked", bytes done and in all; called some times a second, and at the end.
using CopyProgress =
    std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)>;

// A whole copy, on disk, under a name that no reader looks at.
struct ImageCopy {
    std::string path;
    std::uint64_t size_bytes = 0;
    std::uint64_t resumed_at = 0;  // bytes that an earlier, broken-off copy had left
    std::string checksum;          // "sha256:<hex>", of the source and of what was read back
    UniqueFd lock;                 // until it is closed nobody else copies this file here
};

// Copies `source` into `folder`, or goes on where an earlier copy of the same, unchanged file broke
// off: what is there already is compared, not written again. Space is checked first. Blocks.
// Errors: image.missing, image.no_space, image.changed, image.damaged, image.copy; conflict
// "image.busy" while another process copies this file. Nothing is left behind then, except where
// reading the source failed.
Result<ImageCopy> copy_image(const std::string& source, const std::string& folder,
                             const CopyProgress& progress);

}  // namespace qvd::admin
