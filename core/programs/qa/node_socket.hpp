// The node that this program runs on, asked through its control socket (path.run/control.sock).
#pragma once

#include "base/result.hpp"

#include <string>

namespace qvd::qa {

// GETs or POSTs `target`, "/v1/status"; the body of the answer. Errors: the node's own, and
// unavailable "node.not_here" if no hkd listens at `socket`, "node.answer" if it answers no HTTP.
Result<std::string> ask_node(const std::string& socket, const std::string& method,
                             const std::string& target);

}  // namespace qvd::qa
