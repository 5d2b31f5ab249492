// The query of a request's target, "id=7&name=a%20b".
#pragma once

#include "net/frames.hpp"

#include <optional>
#include <string_view>

namespace qvd::net {

// Names and values in their order, decoded ("+" is a space); a name alone has an empty value,
// nothing between two "&" is left out. Nothing: a %XX is broken. Not limited: the head is, that it
// came in.
std::optional<Headers> parse_query(std::string_view query);

}  // namespace qvd::net
