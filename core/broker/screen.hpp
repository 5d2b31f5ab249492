// The desktop session in a running VM: started or resumed by its agent, until it can be connected.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"

namespace qvd::broker {

// Where the session's NX port listens, on the VM's address.
struct Screen {
    std::string address;
    int port = 0;
};

// `parameters` go to the agent as they are (behaviour 3.3.10). unavailable "session.failed" with
// the agent's reason; timeout "session.timeout".
Async<Screen> start_session(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                            Properties parameters);

}  // namespace qvd::broker
