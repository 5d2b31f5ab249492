// Builds an image from a recipe: an archive for containers, a disk for virtual machines.
#pragma once

#include "image/script.hpp"
#include "image/steps.hpp"

#include <cstdint>
#include <string>

namespace qvd::image {

struct BuildSettings {
    std::string output;  // NAME.tar.zst, .tar.gz, .tar.xz or .tar; .qcow2 or .raw
    Parts parts;
    int stop_fd = -1;  // readable: stop; -1: nobody does
};

struct BuiltImage {
    std::string file;
    std::int64_t bytes = 0;
};

// ".tar.zst" and the like: which kind of image; invalid "image.output".
Result<std::string> image_ending(const std::string& name);

// Takes some minutes; blocks. The image appears under its name only when it is whole, and nothing
// else is left behind, however the build ends; an archive's entries are in order of their names,
// owners are numbers, and no time in it is later than SOURCE_DATE_EPOCH (else the beginning of
// today, UTC). Errors: image.output, image.tool (a program that is missing, or root's rights),
// image.part, image.network, image.package (one that the release does not have), image.no_space,
// image.build; cancelled "stopped"; of a disk also recipe.key (no `machine`) and image.boot.
Result<BuiltImage> build(const Recipe& recipe, const BuildSettings& settings,
                         const BuildProgress& progress);

}  // namespace qvd::image
