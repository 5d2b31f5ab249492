// What an administrator writes: sizes, truths, ids, names.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace qvd::admin {

// "512", "512M", "2G", "2GB" as MiB; a bare number is MiB. invalid "size.syntax".
Result<std::int64_t> parse_size_mib(std::string_view text);
// "1", "0", "y", "n", "yes", "no", "true", "false". invalid "boolean.syntax".
Result<bool> parse_boolean(std::string_view text);
// Above 0. `what`: the parameter, for the sentence. invalid "id.syntax".
Result<std::int64_t> parse_id(std::string_view what, std::string_view text);
// Bytes in a tag of an image.
inline constexpr std::size_t longest_tag = 128;
// Without the blanks around it. `what`: "osf", "vm", ...; invalid "osf.name" for one that is empty,
// longer than `longest` bytes, or that a filter could not name.
Result<std::string> checked_name(const std::string& what, std::string_view text,
                                 std::size_t longest = 64);

}  // namespace qvd::admin
