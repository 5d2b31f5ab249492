// One request of a client and the way back to him through his worker. The story of a login talks
// to this; frames and request numbers stay behind it.
#pragma once

#include "base/wakeup.hpp"
#include "net/frame_channel.hpp"

#include <memory>
#include <optional>
#include <string>

namespace qvd::broker {

class Conversation {
public:
    // `worker` is the instance id of the l7r worker behind `channel`.
    Conversation(net::Request request, std::string worker,
                 std::shared_ptr<net::FrameChannel> channel);

    [[nodiscard]] const net::Request& request() const { return request_; }
    // Names this request's relay in a session's row: "<worker>:<request>".
    [[nodiscard]] std::string holder() const;

    void progress(std::string_view text);
    void reply(net::Reply reply);

    // The worker's connection to the VM's NX port.
    boost::asio::awaitable<Result<void>> link(std::string address, int port, Milliseconds limit);
    // The same with a socket that is connected already.
    boost::asio::awaitable<Result<void>> attach(std::shared_ptr<UniqueFd> socket,
                                                Milliseconds limit);
    // Sends the 101 and waits until the relay is over. `protocol`: of the 101's Upgrade, or empty.
    // `owner`: what the next broker is told of it.
    boost::asio::awaitable<net::Ended> relay(Secret slave_key, std::string protocol = {},
                                             std::string owner = {});
    // Waits for the end of a relay that an earlier broker has begun.
    boost::asio::awaitable<net::Ended> relayed();

    // Its 101 has been sent and the relay has not ended: it goes on without a broker.
    [[nodiscard]] bool relaying() const { return relaying_ && !ended_; }
    // Why the story should not go on: the client left, another one takes over, the node stops.
    [[nodiscard]] const std::optional<Error>& interruption() const { return interruption_; }
    void interrupt(const Error& why);
    // Nobody waits for ever: a waiter looks again after this long even if no wake-up came.
    static constexpr Milliseconds long_wait{3600'000};
    // Sleeps until wake(), the conversation is interrupted, or `limit`.
    boost::asio::awaitable<Result<void>> pause(Milliseconds limit);
    // What pause() waits for besides: notified by whoever knows that something changed. If nobody
    // pauses now, the next pause() ends at once: what changed may be newer than what he has read.
    void wake();

    // From the worker.
    void on_linked();
    void on_link_failed(const std::string& sentence);
    void on_ended(const net::Ended& ended);
    void on_gone();
    // The worker itself has died or its link broke.
    void on_worker_lost();

private:
    boost::asio::awaitable<Result<void>> await_link(Milliseconds limit);

    net::Request request_;
    std::string worker_;
    std::shared_ptr<net::FrameChannel> channel_;
    Wakeup changed_;
    std::optional<Result<void>> linked_;
    std::optional<net::Ended> ended_;
    std::optional<Error> interruption_;
    bool woken_ = false;
    bool relaying_ = false;
};

}  // namespace qvd::broker
