// A node (operators say host): a machine that runs VMs and accepts clients.
#pragma once

#include "model/vm.hpp"

#include <chrono>

namespace qvd {

enum class NodeState { stopped, starting, running, stopping, lost };
std::string_view to_string(NodeState state);
Result<NodeState> parse_node_state(std::string_view text);

struct Node {
    NodeId id;
    std::string uuid;
    std::string name;     // equals `nodename` of the node's file
    std::string address;  // IPv4, inside the node part of the VM network
};

// Three reports and a bit: a node that was silent for longer does not live.
inline constexpr std::chrono::seconds node_silence{35};

// What the node reports of itself every 10 s.
struct NodeLoad {
    double memory_total_mib = 0;
    double memory_free_mib = 0;  // MemAvailable
    int cpus = 0;
    double cpu_idle = 0;      // 0 busy .. 1 idle, over the last period
    double cpu_bogomips = 0;  // sum over all cores
};

struct NodeRuntime {
    NodeState state = NodeState::stopped;
    bool blocked = false;
    std::string reason;  // e.g. what an unconfigured node lacks
    std::optional<Timestamp> seen;
    std::int64_t lease_epoch = 0;
    std::string boot_id;
    NodeLoad load;
};

// The columns of `qa host counters` (behaviour 1.2).
enum class NodeCounter {
    http_requests,
    auth_attempts,
    auth_ok,
    nx_attempts,
    nx_ok,
    short_sessions
};
std::string_view to_string(NodeCounter counter);

struct NodeCounters {
    std::int64_t http_requests = 0;
    std::int64_t auth_attempts = 0;
    std::int64_t auth_ok = 0;
    std::int64_t nx_attempts = 0;
    std::int64_t nx_ok = 0;
    std::int64_t short_sessions = 0;
};

}  // namespace qvd
