// One client holds a VM; the newcomer wins.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"

namespace qvd::broker {

// Takes the VM's session row for this client. Whoever holds it is asked to let go, wherever he is
// (the row names his node), and gets `internal.l7r.timeout.takeover` to do so.
// timeout "session.held": the holder did not let go.
Async<Session> take_over(Context& context, std::shared_ptr<Conversation> client,
                         store::NewSession wanted);

}  // namespace qvd::broker
