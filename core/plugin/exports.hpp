// What a shared object offers to others, read from its file alone: nothing of it runs.
#pragma once

#include "base/result.hpp"

#include <string>
#include <vector>

namespace qvd::plugin {

// The symbols that it exports: those of its dynamic table that it defines and does not hide.
// invalid "plugin.file" if it is no 64-bit shared object of this machine, or broken.
Result<std::vector<std::string>> exported_symbols(const std::string& path);

}  // namespace qvd::plugin
