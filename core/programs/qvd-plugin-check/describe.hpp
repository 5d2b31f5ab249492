// What a plugin says of itself, for people (--dump, --keys).
#pragma once

#include "plugin/library.hpp"

#include <string>

namespace qvd::check {

// Name, version, interfaces with their threading, keys.
std::string dump(const plugin::Library& library);
// The keys as a page of a manual.
std::string keys_as_manual(const plugin::Manifest& manifest);

}  // namespace qvd::check
