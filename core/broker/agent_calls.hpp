// The link with hkd: its calls to the agents in VMs are made here, because root parses nothing that
// an image controls; and its answers to operators' calls arrive here.
#pragma once

#include "broker/context.hpp"
#include "net/frame_channel.hpp"

#include <memory>

namespace qvd::broker {

// Serves one link to hkd until it ends. Any number of calls at once; answers to it carry at most
// 1 KiB of printable text.
boost::asio::awaitable<void> serve_hkd(Context& context, std::shared_ptr<net::FrameChannel> hkd);

}  // namespace qvd::broker
