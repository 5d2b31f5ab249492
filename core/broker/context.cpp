#include "broker/context.hpp"

namespace qvd::broker {

namespace {

constexpr Milliseconds configuration_limit{10'000};

}  // namespace

Async<void> await_configured(Context& context) {
    const SteadyClock clock;
    const Deadline deadline = Deadline::in(clock, configuration_limit);
    while (!context.authenticators || !context.balancer) {
        if (deadline.passed())
            co_return Error{ErrorKind::unavailable, "broker.unconfigured",
                            "The server is not configured, try again later"};
        co_await context.configured.wait(deadline.remaining());
    }
    co_return Result<void>{};
}

Async<store::NodeRecord> this_node_as_it_is(Context& context) {
    QVD_CO_TRY(auto node, co_await context.store.node(context.node_name));
    if (!node)
        co_return Error{ErrorKind::unavailable, "node.unregistered",
                        "Host is not registered in the database"};
    co_return *node;
}

Async<store::NodeRecord> this_node(Context& context) {
    QVD_CO_TRY(auto node, co_await this_node_as_it_is(context));
    if (node.runtime.blocked)
        co_return Error{ErrorKind::unavailable, "node.blocked", "Server is blocked"};
    if (node.runtime.state != NodeState::running)
        co_return Error{ErrorKind::unavailable, "node.state",
                        "Server is " + std::string(to_string(node.runtime.state))};
    co_return node;
}

}  // namespace qvd::broker
