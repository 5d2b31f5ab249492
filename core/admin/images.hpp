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

// Whether a file of this name in the folder is an image that the database tells of.
using IsImage = std::function<bool(const std::string& name)>;

// Copies `source` into `folder`, or goes on where an earlier copy of the same, unchanged file broke
// off: what is there already is compared, not written again. Space is checked first. Blocks.
// Errors: image.missing, image.no_space, image.changed, image.damaged, image.copy; conflict
// "image.busy" while another process copies this file. What was copied stays then for the next
// try, unless it would be of no use to it.
Result<ImageCopy> copy_image(const std::string& source, const std::string& folder,
                             const CopyProgress& progress, const IsImage& is_image = {});

// Gives the copy the name of an image in its folder, on disk. Where the file system can it keeps
// its first name, too: who is killed before the database tells of the image has nothing to copy
// again.
Result<void> name_copy(const ImageCopy& copy, const std::string& name);
// The database tells of it now: of its names `name` stays, and what `is_image` knows.
void finish_copy(const ImageCopy& copy, const std::string& name, const IsImage& is_image);

}  // namespace qvd::admin
