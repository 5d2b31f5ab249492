// Frames over one socketpair, on an event loop: reading is awaited, writing is queued.
#pragma once

#include "base/unique_fd.hpp"
#include "net/frames.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <deque>
#include <memory>

namespace qvd::net {

// Belongs to one event loop. Must be held by a shared_ptr: a write that waits keeps it alive.
class FrameChannel : public std::enable_shared_from_this<FrameChannel> {
public:
    // `socket` is a connected SOCK_SEQPACKET socket; it is made non-blocking.
    FrameChannel(const boost::asio::any_io_executor& executor, UniqueFd socket);

    // The next frame; cancelled "frame.closed" once the other side, or close(), has closed.
    boost::asio::awaitable<Result<Frame>> receive();

    // Sends in order; an answer with a long body takes several frames. One that is too long all the
    // same becomes an answer that says so: whoever asked waits for one. A peer that reads nothing
    // while `max_queued` frames wait is given up: closed.
    void send(const Frame& frame);

    void close();
    [[nodiscard]] boost::asio::any_io_executor executor() { return descriptor_.get_executor(); }
    [[nodiscard]] bool is_open() const { return descriptor_.is_open(); }

private:
    void send_reply(const Reply& reply);
    void queue(const Frame& frame);
    void write_queued();
    void wait_writable();

    static constexpr std::size_t max_queued = 4096;
    static constexpr std::size_t body_piece_bytes = max_frame_bytes / 2;

    boost::asio::posix::stream_descriptor descriptor_;
    struct Queued {
        std::string packet;
        std::shared_ptr<UniqueFd> socket;  // that goes beside it
    };
    std::deque<Queued> queue_;
    bool waiting_ = false;
    bool enlarged_ = false;  // its socket, once that was too small
};

}  // namespace qvd::net
