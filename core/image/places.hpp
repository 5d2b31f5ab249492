// Where recipes and the parts of images are.
#pragma once

#include "image/recipe.hpp"
#include "image/script.hpp"

#include <string>

namespace qvd::image {

// A file, or the bare name of one that comes with QVD ("debian-lxde"). not_found "recipe.missing"
// names those that come with it.
Result<std::string> find_recipe(const std::string& name);

// Fills in what is empty: beside this program, as in a build tree, or where it is installed.
void find_parts(Parts& parts);

// qvd-unpack; empty: it is not installed.
[[nodiscard]] std::string find_unpacker();

}  // namespace qvd::image
