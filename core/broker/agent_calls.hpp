// hkd's calls to the agents in VMs, made here: root parses nothing that an image controls.
#pragma once

#include "broker/context.hpp"
#include "net/frame_channel.hpp"

#include <memory>

namespace qvd::broker {

// Serves one link to hkd until it ends. Any number of calls at once; answers carry at most 1 KiB of
// printable text.
boost::asio::awaitable<void> serve_agent_calls(Context& context,
                                               std::shared_ptr<net::FrameChannel> hkd);

}  // namespace qvd::broker
