// Which key may have been meant by a name that nobody declared.
#pragma once

#include "config/key.hpp"

namespace qvd::config {

// Every declared key, and of each family the member whose last words are those of `name`.
std::vector<std::string> candidates_for(const KeySet& keys, std::string_view name);

// The key that a slip of the pen may have made `name` of: at most two letters are wrong. Empty if
// there is none.
std::string slipped_from(const KeySet& keys, std::string_view name);

}  // namespace qvd::config
