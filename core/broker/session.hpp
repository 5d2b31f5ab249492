// The story of one connect_to_vm, from the request to the end of its relay (architecture 3).
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"
#include "broker/gate.hpp"
#include "broker/placement.hpp"
#include "broker/request.hpp"
#include "broker/screen.hpp"
#include "broker/session_ends.hpp"
#include "broker/step_times.hpp"

namespace qvd::broker {

class SessionStory {
public:
    SessionStory(Context& context, Gate& gate, std::shared_ptr<Conversation> client, Target target)
        : context_(context),
          gate_(gate),
          client_(std::move(client)),
          target_(std::move(target)),
          times_(context.clock) {}

    // Returns when the relay is over, or with the Error that the client is to be told.
    Async<void> run();

private:
    Async<void> check_request();
    Async<void> serve(Session session);
    Async<void> connect(Session session, SessionHold& hold);
    // Of before_connect() of every plugin.
    Consent plugins_consent();
    Async<void> call_before_connect(store::VmRecord record);
    Async<Properties> session_parameters(const Secret& slave_key);
    Async<void> hand_over(Session session, SessionHold& hold, Screen screen, Secret slave_key);
    void log_connected(const Session& session) const;
    Async<void> account(net::Ended ended);

    Context& context_;
    Gate& gate_;
    std::shared_ptr<Conversation> client_;
    Target target_;
    NodeId node_;
    ConnectParameters wanted_;
    std::shared_ptr<plugin::Login> login_;
    plugin::LoginRequest request_;
    StepTimes times_;
};

}  // namespace qvd::broker
