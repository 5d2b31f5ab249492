// nxagent's options file: what of the client's wishes reaches the display.
#pragma once

#include "agent/protocol.hpp"
#include "base/result.hpp"
#include "vma/keys.hpp"

namespace qvd::vma {

// The one line of the file, read by nxagent at every start and resume. Errors: vma.parameter, if a
// value has characters that could change the meaning of the line.
Result<std::string> nx_options(const agent::Parameters& session, const Settings& settings);

}  // namespace qvd::vma
