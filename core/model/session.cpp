#include "model/session.hpp"

#include "base/text.hpp"

namespace qvd {

std::string_view to_string(SessionState state) {
    switch (state) {
        case SessionState::disconnected:
            return "disconnected";
        case SessionState::connecting:
            return "connecting";
        case SessionState::connected:
            return "connected";
    }
    return "disconnected";
}

Result<SessionState> parse_session_state(std::string_view text) {
    for (const SessionState state :
         {SessionState::disconnected, SessionState::connecting, SessionState::connected})
        if (to_string(state) == text) return state;
    return Error{ErrorKind::invalid, "session.state",
                 "unknown session state " + text::quoted(text)};
}

}  // namespace qvd
