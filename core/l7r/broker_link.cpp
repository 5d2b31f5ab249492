#include "l7r/broker_link.hpp"

#include "base/log.hpp"

#include <fcntl.h>
#include <sys/epoll.h>

#include <utility>

namespace qvd::l7r {

BrokerLink::BrokerLink(Loop& loop, UniqueFd socket, std::string instance, Events events)
    : loop_(loop),
      socket_(std::move(socket)),
      instance_(std::move(instance)),
      events_(std::move(events)),
      watch_(loop, [this](std::uint32_t ready) { on_ready(ready); }) {
    const int flags = ::fcntl(socket_.get(), F_GETFL);    // NOLINT(*-vararg): fcntl is
    ::fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK);  // NOLINT(*-vararg)
    update_watch();
}

void BrokerLink::on_ready(std::uint32_t events) {
    if ((events & EPOLLOUT) != 0) send_queued();
    // Last words of a broker that has gone are still read.
    if (alive_ && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) receive();
    if (alive_) update_watch();
}

void BrokerLink::receive() {
    for (int i = 0; i < frames_per_turn && alive_; ++i) {
        Result<net::Frame> frame = net::receive_frame(socket_.get());
        if (frame.ok()) {
            events_.on_frame(*this, std::move(frame).value());
            continue;
        }
        if (frame.error().code() == "frame.would_block") return;
        if (frame.error().code() == "frame.unknown") {
            log::warn("l7r.frame.unknown", {{"broker", instance_}}, frame.error().sentence());
            continue;
        }
        lose(frame.error().sentence());
    }
}

void BrokerLink::send(const net::Frame& frame) {
    if (!alive_) return;
    queue_.push_back(frame);
    if (queue_.size() == 1) send_queued();
    if (alive_) update_watch();
}

void BrokerLink::send_queued() {
    while (alive_ && !queue_.empty()) {
        const Result<void> sent = net::send_frame(socket_.get(), queue_.front());
        if (!sent.ok() && sent.error().code() == "frame.would_block") return;
        if (!sent.ok() && sent.error().code() != "frame.too_long") {
            lose(sent.error().sentence());
            return;
        }
        queue_.pop_front();
    }
}

void BrokerLink::update_watch() {
    std::uint32_t events = EPOLLIN;
    if (!queue_.empty()) events |= EPOLLOUT;
    if (!watch_.watch(socket_.get(), events)) lose("the kernel has no memory to watch the link");
}

// May be called while somebody sends: those who must know are told at the end of the turn.
void BrokerLink::lose(const std::string& why) {
    alive_ = false;
    queue_.clear();
    watch_.forget();
    loop_.defer([this, why] { events_.on_lost(*this, why); });
}

}  // namespace qvd::l7r
