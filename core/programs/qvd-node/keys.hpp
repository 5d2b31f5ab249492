// The keys that a node has without any plugin.
#pragma once

#include "config/key.hpp"

#include <memory>

namespace qvd::node {

// Joined from all rooms.
std::shared_ptr<config::KeySet> keys_of_rooms();

}  // namespace qvd::node
