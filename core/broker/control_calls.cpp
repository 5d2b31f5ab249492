#include "broker/control_calls.hpp"

#include <utility>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

Error no_hkd() {
    return {ErrorKind::unavailable, "node.no_hkd",
            "The node's hkd is not there at the moment, try again"};
}

}  // namespace

void ControlCalls::connect(std::shared_ptr<net::FrameChannel> hkd) {
    // What the one before was asked is lost with its link.
    if (hkd_ && hkd_ != hkd) lost(*hkd_);
    hkd_ = std::move(hkd);
}

void ControlCalls::lost(const net::FrameChannel& hkd) {
    if (hkd_.get() != &hkd) return;
    hkd_.reset();
    for (const auto& [call, pending] : std::exchange(pending_, {})) {
        pending->lost = true;
        pending->changed.notify();
    }
}

bool ControlCalls::heard(net::Frame& frame) {
    if (auto* const body = std::get_if<net::Body>(&frame)) {
        const auto found = pending_.find(body->request);
        if (found != pending_.end() &&
            found->second->body.size() + body->bytes.size() <= net::max_body_bytes)
            found->second->body += body->bytes;
        return true;
    }
    if (auto* const reply = std::get_if<net::Reply>(&frame)) {
        answer(reply->request, {std::move(*reply), nullptr});
        return true;
    }
    if (auto* const attach = std::get_if<net::Attach>(&frame)) {
        answer(attach->request, {{}, std::move(attach->socket)});
        return true;
    }
    return false;
}

void ControlCalls::answer(std::uint64_t call, Outcome outcome) {
    const auto found = pending_.find(call);
    if (found == pending_.end()) return;
    const auto pending = found->second;
    pending_.erase(found);
    outcome.reply.body.insert(0, pending->body);
    pending->outcome = std::move(outcome);
    pending->changed.notify();
}

asio::awaitable<Result<ControlCalls::Outcome>> ControlCalls::ask(net::ControlCall call,
                                                                 Milliseconds limit) {
    if (!hkd_ || !hkd_->is_open()) co_return no_hkd();
    const SteadyClock clock;
    const Deadline deadline = Deadline::in(clock, limit);
    call.call = ++last_;
    const auto pending = std::make_shared<Pending>();
    pending_[call.call] = pending;
    hkd_->send(call);
    while (!pending->outcome && !pending->lost && !deadline.passed())
        co_await pending->changed.wait(deadline.remaining());
    pending_.erase(call.call);
    if (pending->outcome) co_return std::move(*pending->outcome);
    if (pending->lost) co_return no_hkd();
    co_return Error{ErrorKind::timeout, "node.hkd_silent", "The node's hkd did not answer in time"};
}

}  // namespace qvd::broker
