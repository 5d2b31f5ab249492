// qvd-node --check-config
#pragma once

#include <string>

namespace qvd::node {

// Loads configuration and plugins in a child, so that a plugin that crashes or hangs is a line of
// the report, and prints what it found. 0: a node would start with this.
int check_configuration(const std::string& file);

}  // namespace qvd::node
