// Who is it? The first step of every request but ping.
#pragma once

#include "broker/context.hpp"
#include "broker/conversation.hpp"
#include "broker/request.hpp"

#include <map>

namespace qvd::broker {

// Of one l7r worker. A kept connection that shows the same credentials again is believed without
// asking the plugins (protocol A4).
class Gate {
public:
    explicit Gate(Context& context) : context_(context) {}

    // denied "auth.*" (a 401), "auth.too_many" (429); unavailable "auth.unavailable".
    Async<std::shared_ptr<plugin::Login>> identify(std::shared_ptr<Conversation> client,
                                                   plugin::LoginRequest request);
    void forget(std::uint64_t connection) { known_.erase(connection); }
    [[nodiscard]] std::size_t known() const { return known_.size(); }

private:
    struct Known {
        Secret authorization;
        std::shared_ptr<plugin::Login> login;
    };

    Async<std::shared_ptr<plugin::Login>> ask(std::shared_ptr<Conversation> client, NodeId node,
                                              plugin::LoginRequest request);
    Async<std::shared_ptr<plugin::Login>> try_credentials(std::shared_ptr<Conversation> client,
                                                          Credentials credentials,
                                                          plugin::LoginRequest request);
    Async<void> resolve_user(std::shared_ptr<plugin::Login> login);

    Context& context_;
    std::map<std::uint64_t, Known> known_;
};

}  // namespace qvd::broker
