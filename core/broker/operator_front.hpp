// The story of an operator's request at /qvd/admin: TLS, upgrade, name and password, role, audit,
// then hkd's answer, or a stream that the worker relays.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"
#include "model/operator.hpp"
#include "net/control.hpp"

namespace qvd::broker {

// The least role that may ask this.
OperatorRole role_for(net::ControlVerb verb);

// Answers `client` in every case.
boost::asio::awaitable<void> serve_operator(Context& context, std::shared_ptr<Conversation> client);

}  // namespace qvd::broker
