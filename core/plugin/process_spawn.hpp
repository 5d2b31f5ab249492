// Starts a program in a session of its own, with nothing of this process open in it.
#pragma once

#include "plugin/processes.hpp"

namespace qvd::plugin {

// Its pid. not_found "process.program" if there is no such file; invalid for a relative one.
Result<int> spawn(const ProcessOrder& order);

}  // namespace qvd::plugin
