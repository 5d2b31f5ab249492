// The folders of path.storage.*.
#pragma once

#include "base/result.hpp"
#include "config/view.hpp"

namespace qvd::hkd {

// Makes the ones that are missing, so that an operator finds where things go before the first VM
// has run; what containers' root makes is closed to other users of the node, in folders of an older
// node, too. Errors: file.mkdir, storage.open.
Result<void> make_storage(const config::View& view);

}  // namespace qvd::hkd
