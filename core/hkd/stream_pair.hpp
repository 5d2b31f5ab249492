// Bytes carried between two connected sockets, both ways, unread.
#pragma once

#include "base/unique_fd.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>

namespace qvd::hkd {

using AnySocket = boost::asio::generic::stream_protocol::socket;

// Until the second side has ended, or either broke; the first side's end is passed on.
void carry_between(const boost::asio::any_io_executor& executor, AnySocket client, UniqueFd vm);

}  // namespace qvd::hkd
