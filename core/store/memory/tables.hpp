// What a MemoryStore remembers, and the questions that several of its subjects ask.
#pragma once

#include "store/answers.hpp"
#include "store/memory_store.hpp"

#include <map>

namespace qvd::store::memory {

struct UserRow {
    User user;
    std::optional<Secret> hash;
    Properties properties;
};

struct OperatorRow {
    Operator who;
    Secret hash;
};

struct OsfRow {
    Osf osf;
    Properties properties;
};

struct DiRow {
    Di di;
    Properties properties;
};

// How long memory stays promised to a start that no node takes.
inline constexpr std::chrono::minutes reservation_time{10};

struct Reservation {
    NodeId node;
    double mib = 0;
    std::optional<Timestamp> until;  // none: as long as the VM has its node
};

struct VmRow {
    Vm vm;
    VmRuntime runtime;
    Secret token;
    std::vector<Endpoint> endpoints;
    std::optional<Reservation> reservation;
    std::int64_t run_attempts = 0;
    std::int64_t run_ok = 0;
    VmUsage usage;
    Timestamp used_at;         // when that was reported
    double cpu_cores = 0;      // between the last two reports
    std::int64_t ordered = 0;  // numbers of orders
    std::int64_t answered = 0;
    std::string argument;  // of the last order
    OrderAnswer answer;
    std::optional<VmCommand> taken;  // and not answered
    std::optional<Checkpoint> checkpoint;
    Secret checkpoint_token;  // what its agent knows
    Properties properties;
};

struct NodeRow {
    Node node;
    NodeRuntime runtime;
    NodeCounters counters;
    Properties properties;
};

struct Ear {
    std::function<void(const Announcement&)> hear;
};

struct Tables : std::enable_shared_from_this<Tables> {
    boost::asio::any_io_executor executor;
    MemoryStore::Now now;
    bool down = false;

    std::map<std::string, std::string> configuration;
    std::optional<Certificate> certificate;
    std::map<UserId, UserRow> users;
    std::map<OperatorId, OperatorRow> operators;
    std::map<OsfId, OsfRow> osfs;
    std::map<DiId, DiRow> dis;
    std::map<VmId, VmRow> vms;
    std::map<NodeId, NodeRow> nodes;
    std::map<SessionId, Session> sessions;
    std::vector<AuditLine> audited;
    std::vector<std::weak_ptr<Ear>> ears;
    std::int64_t last_id = 0;

    [[nodiscard]] std::int64_t next_id() { return ++last_id; }
    // To everybody who listens, in a later turn of the event loop.
    void announce(const Announcement& announcement);
    void announce_state(const VmRow& row);
    void announce_command(const VmRow& row);
    void announce_vms();

    [[nodiscard]] Result<VmRow*> vm(VmId id);
    // The VM in this incarnation: "vm.superseded" in any other.
    [[nodiscard]] Result<VmRow*> vm(VmId id, std::int64_t incarnation);
    [[nodiscard]] Result<NodeRow*> node(NodeId id);
    [[nodiscard]] Session* live_session(VmId vm);
    void end(Session& session);
    [[nodiscard]] DiRow* tagged(OsfId osf, const std::string& tag);
    [[nodiscard]] double reserved_mib(NodeId node) const;
    // Whether the node takes this much more; unavailable "node.unavailable", "node.full".
    [[nodiscard]] Result<void> check_room(const NodeRow& node, double needed_mib) const;
    [[nodiscard]] VmRecord record(const VmRow& row);
    [[nodiscard]] NodeRecord record(const NodeRow& row) const;
    // osf < di < user < vm.
    [[nodiscard]] Properties merged(const VmRow& row, const DiRow* di);
};

// A random one, version 4.
[[nodiscard]] std::string new_uuid();

}  // namespace qvd::store::memory
