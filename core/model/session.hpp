// A user's session on a VM as the broker's row of it: one live row per VM.
#pragma once

#include "model/vm.hpp"

namespace qvd {

enum class SessionState { disconnected, connecting, connected };
std::string_view to_string(SessionState state);
Result<SessionState> parse_session_state(std::string_view text);

struct Session {
    SessionId id;
    VmId vm;
    UserId user;
    std::string client_address;
    NodeId node;         // whose worker holds it
    std::string worker;  // instance id of the l7r worker
    SessionState state = SessionState::connecting;
    bool abort_requested = false;
    Timestamp since;
};

}  // namespace qvd
