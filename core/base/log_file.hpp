// The log's file, handed from who may open it to who may not, or goes on after a rotation.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace qvd::log {

// The file that lines go to (log::open), opened once more; no descriptor where they go elsewhere.
Result<UniqueFd> share_file();
// From now on lines go to this file, which somebody else has opened to append to it.
void continue_in(UniqueFd file);

}  // namespace qvd::log
