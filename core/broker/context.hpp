// What every login of this node works with; made once by the role, on one event loop.
#pragma once

#include "agent/client.hpp"
#include "base/wakeup.hpp"
#include "broker/control_calls.hpp"
#include "broker/failed_logins.hpp"
#include "broker/operator_gate.hpp"
#include "broker/operator_streams.hpp"
#include "config/view.hpp"
#include "plugin/authenticators.hpp"
#include "plugin/balancer.hpp"
#include "store/store.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace qvd::broker {

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

class VmWatch;
class Sessions;
class SessionEnds;

struct Context {
    config::View view;  // as of the last reload
    store::Store& store;
    const Clock& clock;
    agent::Client agents;
    std::shared_ptr<plugin::Authenticators> authenticators;
    std::shared_ptr<plugin::Balancer> balancer;
    FailedLogins failed_logins;
    VmWatch& vms;
    Sessions& sessions;
    SessionEnds& ends;
    std::string node_name;
    // Requests that are not in the node's counters yet: strangers decide how many there are.
    std::uint64_t uncounted_requests = 0;
    bool counting_requests = false;
    Wakeup configured = {};  // notified when there are plugins, or other ones
    ControlCalls control = {};
    OperatorGate operators = {};
    OperatorStreams operator_streams = {};
};

// Until the plugins are there: a worker that outlived an earlier broker brings its requests to a
// new one before that has read its configuration. unavailable "broker.unconfigured".
Async<void> await_configured(Context& context);

// This node as its row says it is now. unavailable "node.unregistered" | "node.blocked" |
// "node.state", in the words that clients know (protocol A5).
Async<store::NodeRecord> this_node(Context& context);
// The same without asking whether it takes clients.
Async<store::NodeRecord> this_node_as_it_is(Context& context);

}  // namespace qvd::broker
