// How a failure, or a list, reaches a client: status, sentence, and the quirks of protocol A3.
#pragma once

#include "base/result.hpp"
#include "net/frames.hpp"
#include "store/store.hpp"

#include <vector>

namespace qvd::broker {

// Text of one sentence and CR LF.
net::Reply text_reply(std::uint16_t status, std::string_view sentence);

// The status of an error by its code, else by its kind; 401 carries WWW-Authenticate.
net::Reply error_reply(const Error& error);

// JSON integers only: false or null for `blocked` crashes a real client (protocol A6).
net::Reply vm_list_reply(const std::vector<store::VmRecord>& vms);

}  // namespace qvd::broker
