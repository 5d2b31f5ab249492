#include "net/frame_channel.hpp"

#include "base/log.hpp"
#include "net/descriptor.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace qvd::net {

namespace asio = boost::asio;

namespace {

Reply too_long(const Reply& reply) {
    Reply answer;
    answer.request = reply.request;
    answer.status = 500;
    answer.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
    answer.body = "The answer is too long to be sent\r\n";
    answer.upgrade_failed = true;
    return answer;
}

}  // namespace

FrameChannel::FrameChannel(const asio::any_io_executor& executor, UniqueFd socket)
    : descriptor_(executor, socket.release()) {
    descriptor_.non_blocking(true);
}

asio::awaitable<Result<Frame>> FrameChannel::receive() {
    const auto self = shared_from_this();
    const Error closed{ErrorKind::cancelled, "frame.closed", "the link is closed"};
    for (;;) {
        if (!descriptor_.is_open()) co_return closed;
        Result<Frame> frame = receive_frame(descriptor_.native_handle());
        if (frame.ok() || frame.error().code() != "frame.would_block") co_return frame;
        const auto [problem] = co_await descriptor_.async_wait(
            asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
        if (problem) co_return closed;
    }
}

void FrameChannel::send(const Frame& frame) {
    if (const auto* reply = std::get_if<Reply>(&frame))
        send_reply(*reply);
    else
        queue(frame);
}

void FrameChannel::send_reply(const Reply& reply) {
    const std::size_t before =
        reply.body.size() > body_piece_bytes ? reply.body.size() - body_piece_bytes : 0;
    Reply last = reply;
    last.body.erase(0, before);
    if (reply.body.size() > max_body_bytes || !encode(last).ok()) {
        log::error("reply.too_long", {{"request", reply.request}, {"bytes", reply.body.size()}},
                   "the client gets 500 in its place");
        queue(too_long(reply));
        return;
    }
    for (std::size_t at = 0; at < before; at += body_piece_bytes)
        queue(Body{reply.request, reply.body.substr(at, std::min(body_piece_bytes, before - at))});
    queue(last);
}

void FrameChannel::queue(const Frame& frame) {
    if (!descriptor_.is_open()) return;
    Result<std::string> packet = encode(frame);
    if (!packet.ok()) {
        log::error("frame.not_sent", {{"code", packet.error().code()}}, packet.error().sentence());
        return;
    }
    if (queue_.size() >= max_queued) {
        log::error("link.stuck", {{"queued", queue_.size()}},
                   "the other side reads nothing; the link is closed");
        close();
        return;
    }
    const auto* const attach = std::get_if<Attach>(&frame);
    queue_.push_back({std::move(packet).value(), attach == nullptr ? nullptr : attach->socket});
    if (!waiting_) write_queued();
}

void FrameChannel::write_queued() {
    while (!queue_.empty()) {
        const Queued& next = queue_.front();
        const ssize_t sent =
            send_with_descriptor(descriptor_.native_handle(), next.packet,
                                 next.socket ? next.socket->get() : -1, MSG_DONTWAIT);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)) {
            wait_writable();
            return;
        }
        if (sent < 0 && errno == EMSGSIZE && !std::exchange(enlarged_, true)) {
            enlarge(descriptor_.native_handle());
            continue;
        }
        if (sent < 0) {
            const bool gone = errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN;
            if (!gone) log::error("link.broken", {}, errno_error("link", "cannot send").sentence());
            close();
            return;
        }
        queue_.pop_front();
    }
}

void FrameChannel::wait_writable() {
    waiting_ = true;
    descriptor_.async_wait(asio::posix::stream_descriptor::wait_write,
                           [self = shared_from_this()](const boost::system::error_code& problem) {
                               self->waiting_ = false;
                               if (!problem && self->descriptor_.is_open()) self->write_queued();
                           });
}

void FrameChannel::close() {
    boost::system::error_code ignored;
    descriptor_.close(ignored);  // NOLINT(bugprone-unused-return-value): nothing to be done
    queue_.clear();
}

}  // namespace qvd::net
