// The files of checkpoints: hypervisors make them, the node removes them.
#pragma once

#include "base/id.hpp"

#include <string>

namespace qvd::hkd {

// One that another has taken the place of, or nobody knows; empty: none. Only below `storage`, the
// node's own folder, whatever the database says; what cannot be removed is logged.
void remove_checkpoint(VmId vm, const std::string& path, const std::string& storage);

}  // namespace qvd::hkd
