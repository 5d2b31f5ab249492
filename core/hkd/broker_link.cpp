#include "hkd/broker_link.hpp"

#include "base/log.hpp"
#include "hkd/spawn.hpp"

namespace qvd::hkd {

namespace asio = boost::asio;

namespace {

// The broker keeps the time itself; this much later it has forgotten the call.
constexpr Milliseconds grace{1000};

Error no_broker() {
    return {ErrorKind::unavailable, "agent.no_broker", "there is no broker to ask the agent"};
}

Result<std::string> result_of(const net::AgentAnswer& answer) {
    using Outcome = net::AgentAnswer::Outcome;
    switch (answer.outcome) {
        case Outcome::ok:
            return answer.text;
        case Outcome::refused:
            return Error{ErrorKind::conflict, "agent.refused", answer.text};
        case Outcome::timeout:
            return Error{ErrorKind::timeout, "agent.timeout", answer.text};
        case Outcome::stale:
            return Error{ErrorKind::cancelled, "agent.stale", answer.text};
        case Outcome::unreachable:
            break;
    }
    return Error{ErrorKind::unavailable, "agent.unreachable", answer.text};
}

}  // namespace

void BrokerLink::connect(UniqueFd socket, std::string instance) {
    if (channel_) channel_->close();
    lose_all();
    channel_ = std::make_shared<net::FrameChannel>(executor_, std::move(socket));
    spawn(executor_, listen(channel_, std::move(instance)), 0);
}

asio::awaitable<void> BrokerLink::listen(std::shared_ptr<net::FrameChannel> channel,
                                         std::string instance) {
    for (;;) {
        Result<net::Frame> frame = co_await channel->receive();
        if (!frame.ok() && frame.error().code() == "frame.unknown") continue;  // of a newer build
        if (!frame.ok()) break;
        if (auto* const call = std::get_if<net::ControlCall>(&*frame);
            call != nullptr && on_control_) {
            on_control_(std::move(*call), channel);
            continue;
        }
        const auto* const answer = std::get_if<net::AgentAnswer>(&*frame);
        if (answer == nullptr) {
            log::error("broker.malformed", {}, "it sent a frame that only others send");
            break;
        }
        answered(*answer);
    }
    channel->close();
    if (channel != channel_) co_return;
    lose_all();
    if (on_lost_) on_lost_(instance);
}

void BrokerLink::answered(const net::AgentAnswer& answer) {
    const auto found = pending_.find(answer.call);
    if (found == pending_.end()) return;  // too late
    found->second->answer.emplace(result_of(answer));
    found->second->alarm->ring();
    pending_.erase(found);
}

void BrokerLink::lose_all() {
    for (const auto& [id, pending] : std::exchange(pending_, {})) {
        pending->answer.emplace(no_broker());
        pending->alarm->ring();
    }
}

asio::awaitable<Result<std::string>> BrokerLink::call(VmId vm, std::int64_t incarnation,
                                                      std::string method,
                                                      AgentParameters parameters,
                                                      Milliseconds timeout) {
    if (!connected()) co_return no_broker();
    net::AgentCall call;
    call.call = next_++;
    call.vm = vm.value();
    call.incarnation = incarnation;
    call.method = std::move(method);
    call.parameters = std::move(parameters);
    call.timeout_ms = static_cast<std::uint32_t>(timeout.count());
    const auto pending = std::make_shared<Pending>();
    pending->alarm = schedule_.alarm();
    pending_[call.call] = pending;
    const Clock::time_point limit = schedule_.in(timeout + grace);
    channel_->send(call);
    while (!pending->answer && schedule_.clock().now() < limit)
        co_await pending->alarm->wait_until(limit);
    pending_.erase(call.call);
    if (pending->answer) co_return *pending->answer;
    co_return Error{ErrorKind::unavailable, "agent.no_broker", "the broker did not answer"};
}

}  // namespace qvd::hkd
