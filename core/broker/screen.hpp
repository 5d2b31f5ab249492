// The desktop session in a running VM: started or resumed by its agent, until it can be connected.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"

namespace qvd::broker {

// A running VM's agent, and where its session's NX port listens.
struct Screen {
    agent::Peer agent;
    std::string address;
    int port = 0;
};

// unavailable "vm.no_agent".
Async<Screen> find_screen(Context& context, VmId vm);

// `parameters` go to the agent as they are (behaviour 3.3.10). unavailable "session.failed" with
// the agent's reason; timeout "session.timeout". Ends soon once the client is interrupted.
Async<void> start_session(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                          agent::Peer agent, Properties parameters);

}  // namespace qvd::broker
