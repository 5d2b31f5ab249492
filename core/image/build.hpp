// Builds an image from a recipe: an archive for containers, a disk for virtual machines.
#pragma once

#include "image/script.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace qvd::image {

struct BuildSettings {
    std::string output;  // NAME.tar.zst, .tar.gz, .tar.xz or .tar; .qcow2 or .raw
    Parts parts;
};

struct BuiltImage {
    std::string file;
    std::int64_t bytes = 0;
};

// Told what is going on, a line at a time.
using BuildProgress = std::function<void(const std::string& line)>;

// Takes a minute or so; blocks. The image appears under its name only when it is whole; an
// archive's entries are in order of their names, owners are numbers, and no time in it is later
// than SOURCE_DATE_EPOCH (else the beginning of today, UTC). Errors: image.output, image.tool (a
// program that is missing), image.part, image.network, image.package (one that the release does not
// have), image.build; of a disk also recipe.key (no `machine`) and image.boot.
Result<BuiltImage> build(const Recipe& recipe, const BuildSettings& settings,
                         const BuildProgress& progress);

}  // namespace qvd::image
