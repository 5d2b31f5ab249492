// From a request head to the story that answers it: the paths of protocol A5 to A9.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"
#include "broker/gate.hpp"

namespace qvd::broker {

// Answers one request; never fails: whatever goes wrong is what the client is told.
boost::asio::awaitable<void> answer(Context& context, Gate& gate,
                                    std::shared_ptr<Conversation> client);

}  // namespace qvd::broker
