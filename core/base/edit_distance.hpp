// How unlike two words are.
#pragma once

#include <cstddef>
#include <string_view>

namespace qvd::text {

// The letters to be added, taken out or replaced to make `b` of `a`.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace qvd::text
