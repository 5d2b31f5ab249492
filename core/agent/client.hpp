// How a node talks to the agent in a VM: one call, one connection, one deadline.
#pragma once

#include "agent/protocol.hpp"
#include "base/clock.hpp"
#include "base/secret.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <optional>

namespace qvd::agent {

// Which agent: the VM's address, its agent's port, and the token that the VM was started with
// (empty for a VM without one: nothing is sent then).
struct Peer {
    std::string address;  // IPv4 or IPv6, numeric
    std::uint16_t port = default_port;
    Secret token;
};

// Calls fail with one of these codes:
//   agent.unreachable    unavailable  no connection, or it broke before the answer was complete
//   agent.timeout        timeout      no complete answer in time
//   agent.token          denied       401: the agent wants another token
//   agent.unknown_method unsupported  404: this agent has no such method
//   agent.answer         unavailable  another status, or a body that is no SimpleRPC answer
//   agent.too_long       invalid      the parameters do not fit into a request head (16 KiB)
//   agent.refused        conflict     the agent's own sentence, word for word
//   agent.session_busy   conflict     x_start: the agent is putting another client out; ask again
//   soon
// Every sentence but the agent's own names address and method.
//
// Use from the executor's one thread. Calls are independent of each other; the Client must outlive
// them. A cancelled coroutine gives up its connection.
class Client {
public:
    explicit Client(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

    // `timeout` covers all of it, connecting included.
    [[nodiscard]] boost::asio::awaitable<Result<Value>> call(Peer peer, std::string method,
                                                             Parameters parameters,
                                                             Milliseconds timeout) const;

    // Which agent it is; {0, {}} for an upstream agent, with which only ping, x_*, poweroff and
    // expire work.
    [[nodiscard]] boost::asio::awaitable<Result<Hello>> hello(Peer peer,
                                                              Milliseconds timeout) const;
    [[nodiscard]] boost::asio::awaitable<Result<void>> ping(Peer peer, Milliseconds timeout) const;
    [[nodiscard]] boost::asio::awaitable<Result<XState>> x_state(Peer peer,
                                                                 Milliseconds timeout) const;
    // Returns once the agent has accepted to start or resume (pre-connect hooks have run by then,
    // so allow for them in `timeout`); x_state tells the rest.
    [[nodiscard]] boost::asio::awaitable<Result<void>> x_start(Peer peer, Parameters session,
                                                               Milliseconds timeout) const;
    [[nodiscard]] boost::asio::awaitable<Result<void>> x_suspend(Peer peer,
                                                                 Milliseconds timeout) const;
    [[nodiscard]] boost::asio::awaitable<Result<void>> x_stop(Peer peer,
                                                              Milliseconds timeout) const;
    // Why the last session ended or did not start; nothing if it has nothing to say or is
    // upstream's.
    [[nodiscard]] boost::asio::awaitable<Result<std::optional<std::string>>> x_reason(
        Peer peer, Milliseconds timeout) const;

private:
    boost::asio::any_io_executor executor_;
};

}  // namespace qvd::agent
