// What is UTF-8: what PostgreSQL, JSON and XML take, not only what looks like it.
#pragma once

#include <cstddef>
#include <string_view>

namespace qvd {

// How many bytes the character at the front of `text` has, 1 to 4; 0 if none is there: an empty
// text, a broken or overlong form, a surrogate, or what lies beyond Unicode.
[[nodiscard]] std::size_t utf8_length(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view text);

}  // namespace qvd
