// The keys of QVD 3.5 that mean nothing here: who brings an old node.conf or database along is told
// so, instead of being told that he mistyped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qvd::config {

// Why `name` has no effect; empty if it is no key of QVD 3.5, or one that this product may know.
// Ask only for keys that nobody declared.
std::string_view known_without_effect(std::string_view name);

// The keys that are listed one by one. None of them may be declared: nobody could be told so.
std::vector<std::string> names_without_effect();

}  // namespace qvd::config
