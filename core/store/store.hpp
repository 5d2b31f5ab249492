// What the core asks of the database, as one abstract class: store/postgres answers it for real,
// store/memory for tests, and one behavioural suite (tests/store) holds both to the same word.
//
// Every call is one round trip or one transaction, safe against any other program doing the same:
// changes are conditional on the state they expect, and a lost race is ErrorKind::conflict. Times
// are the database's. Without the database every call is ErrorKind::unavailable ("store.down").
// A Store belongs to one event loop; calls may overlap.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "store/told.hpp"
#include "store/vm_changes.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qvd::store {

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

class Store {
public:
    Store() = default;
    Store(const Store&) = delete;
    Store& operator=(const Store&) = delete;
    virtual ~Store() = default;

    // Calls `hear` on the event loop for each announcement, until the token goes away; the first
    // `everything` says that from now on announcements arrive.
    using Token = std::shared_ptr<void>;
    [[nodiscard]] virtual Token listen(std::function<void(const Announcement&)> hear) = 0;

    // ---- configuration (manual 5.1; behaviour 5.2) ----
    virtual Async<std::map<std::string, std::string>> configuration() = 0;
    virtual Async<void> set_configuration(std::map<std::string, std::string> values) = 0;
    // Returns how many there were.
    virtual Async<int> delete_configuration(std::vector<std::string> keys) = 0;
    virtual Async<std::optional<Certificate>> certificate() = 0;
    virtual Async<void> set_certificate(Certificate certificate) = 0;

    // ---- users ----
    virtual Async<UserId> add_user(std::string login, std::optional<Secret> password_hash) = 0;
    // Unknown ids are ErrorKind::not_found "user.not_found", "vm.not_found" and so on; names and
    // addresses in use are ErrorKind::conflict "user.exists", "vm.exists", "address.taken".
    // ErrorKind::conflict "user.has_vms" while he owns VMs.
    virtual Async<void> delete_user(UserId user) = 0;
    virtual Async<std::vector<User>> users() = 0;
    virtual Async<std::optional<User>> user(std::string login) = 0;
    virtual Async<std::optional<Secret>> password_hash(UserId user) = 0;
    virtual Async<void> set_password_hash(UserId user, Secret hash) = 0;

    // ---- operators ----
    // ErrorKind::invalid "operator.name"; conflict "operator.exists"; unknown ids are not_found
    // "operator.not_found".
    virtual Async<OperatorId> add_operator(std::string name, OperatorRole role,
                                           Secret password_hash) = 0;
    virtual Async<void> delete_operator(OperatorId id) = 0;
    virtual Async<std::vector<Operator>> operators() = 0;
    // Changes what is given.
    struct OperatorEdit {
        std::optional<OperatorRole> role;
        std::optional<bool> blocked;
        std::optional<Secret> password_hash;
    };
    virtual Async<void> edit_operator(OperatorId id, OperatorEdit edit) = 0;
    // What the broker verifies him by; nobody else may ask.
    struct OperatorAccess {
        Operator who;
        Secret password_hash;
    };
    virtual Async<std::optional<OperatorAccess>> operator_access(std::string name) = 0;

    // ---- osfs, dis, tags ----
    virtual Async<OsfId> add_osf(Osf osf) = 0;
    // Changes what is given; running VMs notice it at their next start.
    struct OsfEdit {
        std::optional<std::string> name;
        std::optional<std::int64_t> memory_mib;
        std::optional<bool> use_overlay;
        std::optional<std::int64_t> user_storage_mib;
    };
    virtual Async<void> edit_osf(OsfId osf, OsfEdit edit) = 0;
    // ErrorKind::conflict "osf.has_vms" and "osf.has_dis".
    virtual Async<void> delete_osf(OsfId osf) = 0;
    virtual Async<std::vector<OsfRecord>> osfs() = 0;
    // An id that no other image will have: its file can be in place before anybody sees the image.
    virtual Async<DiId> reserve_di() = 0;
    // Adds the version tag (fixed), `head`, and `default` if the osf has none, in one transaction.
    virtual Async<Di> add_di(NewDi di) = 0;
    // ErrorKind::conflict "di.in_use" while a VM runs it; head and default move to the last other.
    virtual Async<void> delete_di(DiId di) = 0;
    virtual Async<std::vector<DiRecord>> dis() = 0;
    // Takes the tag from a sibling; ErrorKind::conflict "tag.fixed" if that one's is fixed.
    virtual Async<void> tag_di(DiId di, std::string tag) = 0;
    // ErrorKind::conflict "tag.fixed", and "tag.head" for `head`, which some di must have.
    virtual Async<void> untag_di(DiId di, std::string tag) = 0;

    // ---- vms ----
    // ErrorKind::unavailable "address.none_free" when the pool is used up.
    virtual Async<VmId> add_vm(NewVm vm) = 0;
    // ErrorKind::conflict "vm.not_stopped" unless it is stopped or failed.
    virtual Async<void> delete_vm(VmId vm) = 0;
    virtual Async<std::vector<VmRecord>> vms() = 0;
    virtual Async<std::vector<VmRecord>> vms_of(UserId user) = 0;
    virtual Async<std::vector<VmRecord>> vms_on(NodeId node) = 0;
    virtual Async<std::optional<VmRecord>> vm(VmId vm) = 0;
    // Changes what is given. Owner and osf only of a stopped or failed one whose start nobody has
    // ordered: ErrorKind::conflict "vm.not_stopped"; with either its checkpoint is forgotten, which
    // has the memory and the disks of what it was.
    struct VmEdit {
        std::optional<std::string> name;
        std::optional<std::string> di_tag;
        std::optional<std::string> address;
        std::optional<UserId> user = {};
        std::optional<OsfId> osf = {};
    };
    virtual Async<void> edit_vm(VmId vm, VmEdit edit) = 0;
    // Opened again, its failures so far are forgotten.
    virtual Async<void> set_vm_blocked(VmId vm, bool blocked) = 0;
    // Limits the present run of those of them whose tag means another image than the one that they
    // run, and returns these; those that run the right one lose their limits.
    virtual Async<std::set<VmId>> set_expiry(std::set<VmId> vms, Expiry expiry) = 0;
    virtual Async<void> set_real_user(VmId vm, UserId user) = 0;

    // ---- orders ----
    // Admission in one statement: node running and unblocked, vm stopped or failed, memory left
    // after reservations. Sets node, reservation and the start command.
    // ErrorKind::unavailable "node.full" | "node.unavailable"; conflict "vm.not_stopped", also when
    // a start is ordered already.
    virtual Async<void> order_start(VmId vm, NodeId node) = 0;
    // order_start() that goes back to its checkpoint, on the node that has it; conflict
    // "vm.no_checkpoint", "vm.checkpoint_image" if the image of that time has been deleted.
    virtual Async<void> order_restore(VmId vm) = 0;
    // Running: sets the stop command; start not yet taken: clears it. conflict "vm.not_running".
    // Failed, or being stopped, and to be started again by its node: that is called off.
    virtual Async<void> order_stop(VmId vm) = 0;

    // Starts that no node has taken, ordered to one that has been silent for node_silence by now.
    virtual Async<std::vector<VmId>> stranded_starts() = 0;
    // Such a start goes from that node to another, by order_start()'s rules and with its refusals.
    // ErrorKind::conflict "vm.not_stranded": its node has taken it or reports again, it has been
    // withdrawn or moved, or it goes back to its checkpoint, which only `from` has.
    virtual Async<void> move_start(VmId vm, NodeId from, NodeId to) = 0;
    // Such a start is given up, also one that goes back to its checkpoint: the VM is `failed` with
    // this reason ("node.lost"). ErrorKind::conflict "vm.not_stranded".
    virtual Async<void> give_up_start(VmId vm, NodeId from, std::string reason) = 0;
    // VMs with an order of order() that is not answered, and such a node: it never will be.
    virtual Async<std::vector<VmId>> stranded_orders() = 0;
    // It is withdrawn, and answered with this reason ("node.lost"). ErrorKind::conflict
    // "vm.not_stranded".
    virtual Async<void> give_up_order(VmId vm, NodeId from, std::string reason) = 0;

    // Any other command, by its state (may_be_ordered), to its node; resume as order_start().
    // Returns the order's number. ErrorKind::conflict "vm.state", "vm.order_pending" if one waits
    // already.
    virtual Async<std::int64_t> order(VmId vm, VmCommand command, std::string argument) = 0;
    // Nothing: it is still to be answered; a VM that ends answers its orders: "vm.ended".
    virtual Async<std::optional<OrderAnswer>> order_answer(VmId vm, std::int64_t number) = 0;

    // ---- the node's side (hkd) ----
    virtual Async<std::vector<std::pair<VmId, VmCommand>>> pending_commands(NodeId node) = 0;
    // stopped/failed + start command → starting_1 of the next incarnation, one attempt counted.
    // ErrorKind::conflict "vm.no_command" if there is none (any more); not_found "di.not_tagged" if
    // no di of the osf has the VM's tag, "vm.no_checkpoint" if it was to go back to one that is
    // gone: then the VM is `failed` and the order is gone.
    virtual Async<StartOrder> take_start(VmId vm, NodeId node) = 0;
    // The start that an earlier hkd of this boot took and did not get to launch: starting_1 of this
    // incarnation → starting_1 of the next; no further attempt is counted. ErrorKind::conflict
    // "vm.superseded" or "vm.state", not_found "di.not_tagged": then nothing has changed.
    virtual Async<StartOrder> retake_start(VmId vm, NodeId node, std::int64_t incarnation) = 0;
    // Neither start nor stop; ErrorKind::conflict "vm.no_command".
    virtual Async<VmOrder> take_order(VmId vm, NodeId node) = 0;
    virtual Async<void> answer_order(VmId vm, std::int64_t number, OrderAnswer answer) = 0;
    // What was taken and never answered, or a stop that was never begun, by an hkd that is gone or
    // never heard that it had it, is pending again; without a VM, of all of this node. Returns how
    // many.
    virtual Async<int> return_orders(NodeId node, std::optional<VmId> vm) = 0;
    // It made a checkpoint, which takes the place of the one before; returns where that was if it
    // was on the same node, or "".
    virtual Async<std::string> remember_checkpoint(VmId vm, std::int64_t incarnation,
                                                   std::string path) = 0;
    // Whenever it is stopped next, its node starts it again at once: the order is part of
    // clear_vm(). Not if the node is blocked or is being evacuated by then.
    virtual Async<void> order_restart(VmId vm, std::int64_t incarnation) = 0;
    // It runs well: its failures so far are not counted any more.
    virtual Async<void> forget_failures(VmId vm, std::int64_t incarnation) = 0;
    // Failed VMs that this node is to start again, and how long from now (negative: overdue).
    virtual Async<std::vector<std::pair<VmId, std::chrono::milliseconds>>> retries(NodeId node) = 0;
    // order_start() of such a VM; ErrorKind::conflict "vm.no_retry" once that was called off.
    virtual Async<void> retry_start(VmId vm, NodeId node) = 0;
    // Clears the stop command and changes nothing else; ErrorKind::conflict "vm.no_command".
    virtual Async<void> take_stop(VmId vm, NodeId node) = 0;
    // ErrorKind::conflict "vm.superseded" for another incarnation, "vm.state" if not in `from`; so
    // are clear_vm(), and by incarnation set_launch(), set_endpoints() and agent_seen().
    // To stopped and failed leads clear_vm() only ("vm.transition").
    virtual Async<void> transition(VmTransition change) = 0;
    // What it is about to be launched with, before it is: image, and plugin that runs it.
    virtual Async<void> set_launch(VmId vm, std::int64_t incarnation, DiId di,
                                   std::string hypervisor) = 0;
    virtual Async<void> set_endpoints(VmId vm, std::int64_t incarnation, std::string address,
                                      std::vector<Endpoint> endpoints) = 0;
    // Nothing of it is left: state `to` (stopped or failed), node, address, endpoints, token,
    // reservation, expirations and current di cleared. A start ordered meanwhile stays; after
    // order_restart() there is one.
    virtual Async<void> clear_vm(VmTransition change) = 0;
    // The database's clock.
    virtual Async<Timestamp> now() = 0;
    virtual Async<void> report_usage(NodeId node, std::vector<VmUsage> usage) = 0;
    virtual Async<void> agent_seen(VmId vm, std::int64_t incarnation) = 0;

    // ---- nodes ----
    virtual Async<NodeId> add_node(std::string name, std::string address) = 0;
    // ErrorKind::conflict "node.has_vms" while VMs are assigned to it, "node.has_sessions" while
    // its workers hold sessions, "node.alive" while it reports (node_silence) and is not stopped.
    virtual Async<void> delete_node(NodeId node) = 0;
    virtual Async<std::vector<NodeRecord>> nodes() = 0;
    virtual Async<std::optional<NodeRecord>> node(std::string name) = 0;
    virtual Async<void> set_node_blocked(NodeId node, bool blocked) = 0;
    // A starting hkd: next lease epoch, its boot id, state starting; a node that is running stays
    // so if it has reported for this boot in the last 45 s, and has to report on. Returns the
    // epoch.
    virtual Async<std::int64_t> claim_node(NodeId node, std::string boot_id) = 0;
    virtual Async<void> set_node_state(NodeId node, std::int64_t lease_epoch, NodeState state,
                                       std::string reason) = 0;
    // ErrorKind::conflict "node.superseded" when a later hkd has claimed the node.
    virtual Async<void> heartbeat(NodeId node, std::int64_t lease_epoch, NodeLoad load) = 0;
    virtual Async<void> count(NodeId node, NodeCounter counter, int by) = 0;

    // ---- sessions ----
    // One live session per VM: inserts it, or tells who holds the VM.
    virtual Async<Acquired> acquire_session(NewSession session) = 0;
    // Asks the holder's broker to end it (announced); none live is no error.
    virtual Async<void> request_abort(VmId vm) = 0;
    // connecting → connected; conflict "session.aborted" once an abort was asked for.
    virtual Async<void> session_connected(SessionId session) = 0;
    // Ending an ended one is no error.
    virtual Async<void> end_session(SessionId session, std::string reason) = 0;
    // Live sessions held by this node's workers.
    virtual Async<std::vector<Session>> sessions_on(NodeId node) = 0;
    // Ends those of them whose holder is known to be gone. By their ids: a session that began since
    // they were looked at must not end with them. Returns how many were live.
    virtual Async<int> reset_sessions(std::set<SessionId> sessions) = 0;
    // What a broker might have missed an announcement of, in one round trip.
    virtual Async<BrokerLook> broker_look(NodeId node, std::set<VmId> vms) = 0;
    // Endpoint "agent"/"nx" of a VM that has them and the token of this incarnation, for the
    // broker. ErrorKind::unavailable "vm.no_agent" when it has none (stopped, or not yet that far).
    struct AgentAccess {
        std::string address;
        int agent_port = 0;
        int nx_port = 0;
        Secret token;  // empty: an agent without one
        std::int64_t incarnation = 0;
    };
    virtual Async<AgentAccess> agent_access(VmId vm) = 0;
    // Query parameters excluded: osf < running di < user < vm properties, later wins.
    virtual Async<Properties> session_properties(VmId vm) = 0;

    // ---- properties ----
    virtual Async<Properties> properties(Owner owner, std::int64_t id) = 0;
    // Of every thing of this kind that has any, by its id.
    virtual Async<std::map<std::int64_t, Properties>> all_properties(Owner owner) = 0;
    // What osfs, dis, users and vms have for this key, each value once.
    virtual Async<std::vector<std::string>> property_values(std::string key) = 0;
    // An empty optional deletes the key.
    virtual Async<void> set_properties(
        Owner owner, std::int64_t id, std::map<std::string, std::optional<std::string>> values) = 0;

    // ---- audit ----
    // Who did what, for the audit table; never fails an operation that was done.
    virtual Async<void> audit(std::string who, std::string operation, std::string subject) = 0;
    // The newest so many lines, oldest first.
    virtual Async<std::vector<AuditLine>> audit_lines(int newest) = 0;
};

}  // namespace qvd::store
