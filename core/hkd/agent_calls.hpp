// Calls to the agents in VMs. The broker makes them for hkd: root parses nothing that an image
// controls.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "model/vm.hpp"

#include <boost/asio/awaitable.hpp>

#include <string>
#include <utility>
#include <vector>

namespace qvd::hkd {

using AgentParameters = std::vector<std::pair<std::string, std::string>>;

class AgentCalls {
public:
    AgentCalls() = default;
    AgentCalls(const AgentCalls&) = delete;
    AgentCalls& operator=(const AgentCalls&) = delete;
    virtual ~AgentCalls() = default;

    // The agent's value. conflict "agent.refused" with the agent's sentence; unavailable
    // "agent.unreachable" (nobody listens) or "agent.no_broker"; timeout "agent.timeout";
    // cancelled "agent.stale" (another incarnation runs).
    virtual boost::asio::awaitable<Result<std::string>> call(VmId vm, std::int64_t incarnation,
                                                             std::string method,
                                                             AgentParameters parameters,
                                                             Milliseconds timeout) = 0;
};

}  // namespace qvd::hkd
