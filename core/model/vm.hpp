// A VM as the farm knows it: what the administrator wrote, and what is the case right now.
#pragma once

#include "base/id.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace qvd {

// Instants are the database's clock, never this machine's.
using Timestamp = std::chrono::system_clock::time_point;
// Free key/value pairs of a user, vm, osf, di or node (manual 5.2, `propset`).
using Properties = std::map<std::string, std::string>;

// Stored with a phase: starting, stopping and zombie have the phases 1 and 2, all others 0.
// failed: nothing runs, kept for diagnosis, the next start leaves it.
enum class VmState {
    stopped,
    starting,
    running,
    stopping,
    zombie,
    failed,
    debug,
    paused,
    suspended
};

std::string_view to_string(VmState state);
Result<VmState> parse_vm_state(std::string_view text);
// "starting_1"; without a phase just the state: what `qa` shows (manual, figure 1.1).
std::string to_string(VmState state, int phase);
// What clients get: no phase, `debug` as `debugging`, paused and suspended as `stopped`,
// failed as `stopped` (starting leaves each of the three).
std::string_view client_name(VmState state);

enum class VmCommand { start, stop, pause, unpause, suspend, resume, checkpoint, snapshot, reset };
std::string_view to_string(VmCommand command);
Result<VmCommand> parse_vm_command(std::string_view text);
// In which states a VM may be ordered to do that; of start and stop see store::Store.
bool may_be_ordered(VmCommand command, VmState state);

struct Vm {
    VmId id;
    std::string uuid;
    std::string name;
    UserId user;
    OsfId osf;
    std::string di_tag;   // resolved to a di of the osf at each start
    std::string address;  // static IPv4 of the VM network, "10.3.15.7"
};

struct VmRuntime {
    VmState state = VmState::stopped;
    int phase = 0;
    std::string reason;       // why it is in this state, one sentence; empty if that is obvious
    std::string reason_code;  // the same for programs: "vm.no_agent"; empty with the sentence, or
                              // if an older hkd wrote it
    Timestamp since;
    bool blocked = false;              // closed to its users by an administrator or hkd.vm.failure
    std::optional<VmCommand> command;  // ordered and not yet taken by the node
    std::optional<NodeId> node;        // runs it or is to run it
    std::optional<NodeId> last_node;   // where it ended last, however it did
    std::optional<DiId> current_di;
    std::string hypervisor;  // the plugin that it was launched by; empty: not launched, or unknown
    std::optional<UserId> real_user;    // who connected last (pools)
    std::int64_t incarnation = 0;       // counts starts; a message about an older one is ignored
    int attempt = 0;                    // failed starts in a row
    std::optional<Timestamp> retry_at;  // failed: when last_node starts it again
    std::string saved_path;             // suspended: where its memory is, on its node
    bool restarts = false;              // it is being stopped, and its node starts it again then
    bool from_checkpoint = false;  // this start, ordered or under way, goes back to the checkpoint
    std::string address;           // while it runs
    std::optional<Timestamp> agent_seen;
    std::optional<Timestamp> expires_soft;
    std::optional<Timestamp> expires_hard;
};

}  // namespace qvd
