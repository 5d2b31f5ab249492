// Small questions about text that several rooms ask.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::text {

[[nodiscard]] std::string_view trim(std::string_view text);
[[nodiscard]] std::string lower(std::string_view text);                           // ASCII only
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);  // ASCII only
// Pieces between `separator`; an empty text has one empty piece.
[[nodiscard]] std::vector<std::string> split(std::string_view text, char separator);
// As split(), with each piece trimmed and empty ones left out: the form of list-valued keys.
[[nodiscard]] std::vector<std::string> split_list(std::string_view text, char separator = ',');
[[nodiscard]] std::string join(const std::vector<std::string>& pieces, std::string_view separator);

// The whole text as a decimal number; nothing if it is not one or does not fit.
[[nodiscard]] std::optional<std::int64_t> to_integer(std::string_view text);

// %XX and, with `plus_is_space`, '+' (queries). A broken escape is an error.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);
// Everything but A-Za-z0-9-._~ as %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);

[[nodiscard]] std::string base64_encode(std::string_view bytes);
// Accepts missing padding; nothing for any foreign character.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

// Printable form for a log line: quotes, control characters and non-ASCII escaped, cut at `limit`.
[[nodiscard]] std::string quoted(std::string_view text, std::size_t limit = 256);

// A JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string json_string(std::string_view text);

// Of `known`, the one nearest in edits to `word`; empty if none is near enough to suggest.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

// `*` any text, `?` one character; everything else itself (the `qa` filters, manual 5.2).
[[nodiscard]] bool matches_wildcard(std::string_view pattern, std::string_view text);

}  // namespace qvd::text
