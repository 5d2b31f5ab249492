// What the database tells, and what it is told to add: a VM, a node, an image with all that hangs
// on it, orders, the audit, announcements.
#pragma once

#include "base/secret.hpp"
#include "model/node.hpp"
#include "model/operator.hpp"
#include "model/osf.hpp"
#include "model/session.hpp"
#include "model/user.hpp"
#include "model/vm.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qvd::store {

// ---- What is read --------------------------------------------------------------------------

// What a VM can be brought back to: memory and disks of one moment, on the node that made it.
struct Checkpoint {
    std::string path;
    Timestamp at;
    NodeId node;
    std::string node_name;
    std::optional<Di> di;  // what ran then, without its tags; nothing: it has been deleted since
    std::string hypervisor;
};

// A VM with all that hangs on it: rows of `qa vm list`, and what a login or a start needs.
struct VmRecord {
    Vm vm;
    VmRuntime runtime;
    User user;
    Osf osf;
    std::string node_name;           // of runtime.node, or empty
    std::optional<Session> session;  // the live one
    std::string session_node_name;   // "L7R" of `qa vm list`
    std::string real_user_login;
    std::optional<Di> di;          // what di_tag resolves to now; without its tags
    std::optional<Di> current_di;  // what runs; without its tags
    std::optional<Checkpoint> checkpoint;
    std::int64_t run_attempts = 0;
    std::int64_t run_ok = 0;
    double cpu_seconds = 0;  // since its start, as its node reported last
    double cpu_cores = 0;    // used between the last two reports: 1.5 is one core and a half
    std::int64_t memory_bytes = 0;
    int pid = 0;  // of what keeps it running, on its node; 0: not known
};

struct NodeRecord {
    Node node;
    NodeRuntime runtime;
    NodeCounters counters;
    int vms = 0;              // assigned to it, in any state
    double reserved_mib = 0;  // promised to VMs that start or run on it
    // Since its last heart-beat, by the database's clock; nothing if it never had one.
    std::optional<std::chrono::milliseconds> silence;
    Properties properties;
};

struct OsfRecord {
    Osf osf;
    int vms = 0;
    int dis = 0;
};

struct DiRecord {
    Di di;
    std::string osf_name;
    int vms = 0;          // VMs whose next start would be from it
    int vms_running = 0;  // VMs whose current di it is
};

// Which kind of thing has properties.
enum class Owner { user, vm, osf, di, node };

// TLS material of the farm: PEM texts (`qa config ssl`).
struct Certificate {
    std::string certificate;  // chain, leaf first
    Secret key;
    std::string ca;   // empty: none
    std::string crl;  // empty: none
};

// What the broker of a node looks at once a second, whatever was announced.
struct BrokerLook {
    // As much of a VM as somebody may wait for; equal: nothing has changed.
    struct Glimpse {
        VmState state = VmState::stopped;
        int phase = 0;
        std::int64_t incarnation = 0;
        bool commanded = false;
        SessionId session;  // the live one; 0: none
        bool operator==(const Glimpse&) const = default;
    };
    std::map<VmId, Glimpse> vms;         // of those that were asked for, those that exist
    std::map<SessionId, VmId> unwanted;  // live ones of this node that were asked to end
};

// ---- What is ordered -----------------------------------------------------------------------

struct NewVm {
    std::string name;
    UserId user;
    OsfId osf;
    std::string di_tag = "default";
    std::string address;     // empty: the highest free one of the pool (behaviour 2.11)
    std::string pool_first;  // first and last address for VMs, by vm.network.*
    std::string pool_last;
};

struct NewDi {
    OsfId osf;
    std::string name;     // file name without folder; stored as "<id>-<name>"
    std::string version;  // empty: the first free YYYY-MM-DD-NNN of today
    DiId id = {};         // of reserve_di(); 0: the next one
    std::int64_t size_bytes = 0;
    std::string checksum = {};
};

// When a run of a VM is to end because of its image. An outer nothing: it stays as it is; an inner
// one: no limit.
struct Expiry {
    std::optional<std::optional<Timestamp>> soft;
    std::optional<std::optional<Timestamp>> hard;
};

struct NewSession {
    VmId vm;
    UserId user;
    std::string client_address;
    NodeId node;
    std::string worker;
};

// acquire_session(): either the new row, or who holds the VM now.
struct Acquired {
    std::optional<Session> session;
    std::optional<Session> holder;
};

// What a node needs to start a VM; given once, to the node that took the order.
struct StartOrder {
    VmRecord record;
    Di di;                        // resolved now; of a checkpoint, its own
    Secret agent_token;           // new with each start; of a checkpoint, what its agent knows
    Properties properties;        // merged: osf < di < user < vm (behaviour 3.3.10)
    std::string checkpoint = {};  // where that is; empty: it boots
};

// Somebody has done something.
struct AuditLine {
    std::int64_t id = 0;
    Timestamp at;
    std::string who;
    std::string operation;
    std::string subject;
    std::string account;  // of the database, that wrote it
};

// ---- Announcements -------------------------------------------------------------------------

// What somebody waits for. Lost announcements are possible (reconnection): then `everything`
// arrives, and the waiter looks for itself.
struct Announcement {
    // vm_state: state, phase or blocked changed, or a start was withdrawn. session_end: the VM's
    // live session is gone, who waits to take it over tries again.
    // operators: one was changed or deleted. vms: an inventory shows VMs otherwise: how many, or of
    // one its name, owner, OSF, image, node, state, blocked, connected, or what of these is called
    // or tagged otherwise; neither what they use, nor phases and commands.
    enum class What {
        vm_command,
        vm_state,
        session_abort,
        session_end,
        configuration,
        everything,
        operators,
        vms
    };
    What what = What::everything;
    VmId vm;      // of all but configuration, operators, vms and everything
    NodeId node;  // whom it concerns; of vm_state its node, 0 for none
};

}  // namespace qvd::store
