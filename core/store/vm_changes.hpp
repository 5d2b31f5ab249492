// What becomes of a VM, as it is written down: orders and their answers, changes of its state,
// where it listens, what it uses.
#pragma once

#include "model/vm.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qvd::store {

struct VmOrder {
    VmCommand command = VmCommand::pause;
    std::string argument;     // of snapshot: its name
    std::int64_t number = 0;  // grows with each order of the VM
};
// `code` empty: it was done, and `text` is what it gave (a path), or empty; else it was not, and
// why.
struct OrderAnswer {
    std::string code;
    std::string text;
};

// A change of a VM's state; applies only to this incarnation, while it is in one of `from`.
struct VmTransition {
    VmId vm;
    std::int64_t incarnation = 0;
    std::vector<VmState> from;
    VmState to = VmState::stopped;
    int phase = 0;
    std::string reason;
    bool block = false;     // also set the blocked flag (hkd.vm.failure = block)
    bool failure = false;   // count one more attempt; `stopped` clears the count
    std::string code = {};  // of the reason; empty if there is none
    std::optional<std::chrono::milliseconds> retry_in = {};  // to failed: retry_start() then
    std::string saved_path = {};                             // to suspended
};

// Where something of a running VM listens; transport "tcp" (address:port) or "unix" (path).
struct Endpoint {
    std::string kind;  // nx, vnc, spice, ssh, serial, console, agent
    std::string transport;
    std::string address;
    int port = 0;
};

struct VmUsage {
    VmId vm;
    std::int64_t incarnation = 0;
    double cpu_seconds = 0;  // since its start
    std::int64_t memory_bytes = 0;
    int pid = 0;  // of what keeps it running; 0: not known
};

}  // namespace qvd::store
