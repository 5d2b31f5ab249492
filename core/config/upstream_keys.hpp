// The keys of QVD 3.5 that mean nothing here: who brings an old node.conf or database along is told
// so, instead of being told that he mistyped.
#pragma once

#include "config/key.hpp"

namespace qvd::config {

struct KnownKey {
    std::string_view why;  // it has no effect; empty: it is no key of QVD 3.5
    bool by_name = false;  // listed itself, not only by its family: it is not mistyped
};

// What is known of a key that is not among the `keys` of the program that reads it.
KnownKey known_without_effect(std::string_view name, const KeySet& keys);

// The keys that are listed one by one. None of them may be declared: nobody could be told so.
std::vector<std::string> names_without_effect();

}  // namespace qvd::config
