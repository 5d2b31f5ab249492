// A recipe as what mmdebstrap understands: its arguments, and the script that it runs at the end.
#pragma once

#include "image/recipe.hpp"

#include <string>
#include <vector>

namespace qvd::image {

// Files of this machine that recipes name without a path. Empty: there is none.
struct Parts {
    std::string agent;  // @agent@
    std::string init;   // @init@
};

// The shell script that gets the image's root folder as $1 and completes it. Every path of the
// image is resolved inside of it, whatever its links say. Errors: image.part.
Result<std::string> completion_script(const Recipe& recipe, const Parts& parts);

// `target` is where the archive goes; its ending decides the compression.
std::vector<std::string> mmdebstrap_arguments(const Recipe& recipe, const std::string& script_file,
                                              const std::string& target);

// `text` as one word of a shell, whatever is in it.
[[nodiscard]] std::string shell_word(const std::string& text);

}  // namespace qvd::image
