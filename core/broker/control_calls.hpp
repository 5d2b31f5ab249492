// Operators' calls of the node's control protocol: sent to hkd as frames, answered by a document or
// by a connected socket.
#pragma once

#include "base/clock.hpp"
#include "base/wakeup.hpp"
#include "net/frame_channel.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace qvd::broker {

// Belongs to the broker's event loop.
class ControlCalls {
public:
    struct Outcome {
        net::Reply reply;                  // unless there is a socket
        std::shared_ptr<UniqueFd> socket;  // of a verb that opens a stream
    };

    // A newer hkd is asked in place of the one before.
    void connect(std::shared_ptr<net::FrameChannel> hkd);
    void lost(const net::FrameChannel& hkd);
    // False: it is no answer. One that comes too late is passed over, its socket closed.
    bool heard(net::Frame& frame);

    // unavailable "node.no_hkd"; timeout "node.hkd_silent".
    boost::asio::awaitable<Result<Outcome>> ask(net::ControlCall call, Milliseconds limit);

private:
    struct Pending {
        std::string body;  // as far as it has come
        std::optional<Outcome> outcome;
        bool lost = false;
        Wakeup changed;
    };

    void answer(std::uint64_t call, Outcome outcome);

    std::shared_ptr<net::FrameChannel> hkd_;
    std::map<std::uint64_t, std::shared_ptr<Pending>> pending_;
    std::uint64_t last_ = 0;
};

}  // namespace qvd::broker
