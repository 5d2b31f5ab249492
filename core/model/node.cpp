#include "model/node.hpp"

#include "base/text.hpp"

#include <array>
#include <utility>

namespace qvd {

namespace {

constexpr std::array<std::pair<NodeState, std::string_view>, 5> state_names{{
    {NodeState::stopped, "stopped"},
    {NodeState::starting, "starting"},
    {NodeState::running, "running"},
    {NodeState::stopping, "stopping"},
    {NodeState::lost, "lost"},
}};

}  // namespace

std::string_view to_string(NodeState state) {
    for (const auto& [known, name] : state_names)
        if (known == state) return name;
    return "stopped";
}

Result<NodeState> parse_node_state(std::string_view text) {
    for (const auto& [known, name] : state_names)
        if (name == text) return known;
    return Error{ErrorKind::invalid, "node.state", "unknown node state " + text::quoted(text)};
}

std::string_view to_string(NodeCounter counter) {
    switch (counter) {
        case NodeCounter::http_requests:
            return "http_requests";
        case NodeCounter::auth_attempts:
            return "auth_attempts";
        case NodeCounter::auth_ok:
            return "auth_ok";
        case NodeCounter::nx_attempts:
            return "nx_attempts";
        case NodeCounter::nx_ok:
            return "nx_ok";
        case NodeCounter::short_sessions:
            return "short_sessions";
    }
    return "http_requests";
}

}  // namespace qvd
