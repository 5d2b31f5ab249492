// A Store without a database, for tests: the same answers as store/postgres, by the same suite.
// Each call first goes once around the event loop, then happens at one stroke.
#pragma once

#include "store/store.hpp"

#include <boost/asio/any_io_executor.hpp>

namespace qvd::store {

namespace memory {
struct Tables;
}

class MemoryStore final : public Store {
public:
    // The database's clock; a test may turn it by hand.
    using Now = std::function<Timestamp()>;
    explicit MemoryStore(boost::asio::any_io_executor executor,
                         Now now = std::chrono::system_clock::now);
    ~MemoryStore() override;
    MemoryStore(const MemoryStore&) = delete;
    MemoryStore& operator=(const MemoryStore&) = delete;

    // While true, every call is "store.down" and nothing is announced; back again, everybody who
    // listens hears `everything`.
    void fail_with_unavailable(bool down);
    // While true, orders are taken, and who takes them hears "store.down" instead.
    void fail_after_taking(bool lost) { loses_answers_ = lost; }
    // When a running VM's image is to be left, as an operator's tool writes it.
    void set_expiry(VmId vm, std::optional<Timestamp> soft, std::optional<Timestamp> hard);
    // The lines of audit(), oldest first: "who operation subject".
    [[nodiscard]] std::vector<std::string> audited() const;

    [[nodiscard]] Token listen(std::function<void(const Announcement&)> hear) override;

    Async<std::map<std::string, std::string>> configuration() override;
    Async<void> set_configuration(std::map<std::string, std::string> values) override;
    Async<int> delete_configuration(std::vector<std::string> keys) override;
    Async<std::optional<Certificate>> certificate() override;
    Async<void> set_certificate(Certificate certificate) override;

    Async<UserId> add_user(std::string login, std::optional<Secret> password_hash) override;
    Async<void> delete_user(UserId user) override;
    Async<std::vector<User>> users() override;
    Async<std::optional<User>> user(std::string login) override;
    Async<std::optional<Secret>> password_hash(UserId user) override;
    Async<void> set_password_hash(UserId user, Secret hash) override;

    Async<OperatorId> add_operator(std::string name, OperatorRole role,
                                   Secret password_hash) override;
    Async<void> delete_operator(OperatorId id) override;
    Async<std::vector<Operator>> operators() override;
    Async<void> edit_operator(OperatorId id, OperatorEdit edit) override;
    Async<std::optional<OperatorAccess>> operator_access(std::string name) override;

    Async<OsfId> add_osf(Osf osf) override;
    Async<void> edit_osf(OsfId osf, OsfEdit edit) override;
    Async<void> delete_osf(OsfId osf) override;
    Async<std::vector<OsfRecord>> osfs() override;
    Async<DiId> reserve_di() override;
    Async<Di> add_di(NewDi di) override;
    Async<void> delete_di(DiId di) override;
    Async<std::vector<DiRecord>> dis() override;
    Async<void> tag_di(DiId di, std::string tag) override;
    Async<void> untag_di(DiId di, std::string tag) override;

    Async<VmId> add_vm(NewVm vm) override;
    Async<void> delete_vm(VmId vm) override;
    Async<std::vector<VmRecord>> vms() override;
    Async<std::vector<VmRecord>> vms_of(UserId user) override;
    Async<std::vector<VmRecord>> vms_on(NodeId node) override;
    Async<std::optional<VmRecord>> vm(VmId vm) override;
    Async<void> edit_vm(VmId vm, VmEdit edit) override;
    Async<void> set_vm_blocked(VmId vm, bool blocked) override;
    Async<std::set<VmId>> set_expiry(std::set<VmId> vms, Expiry expiry) override;
    Async<void> set_real_user(VmId vm, UserId user) override;

    Async<void> order_start(VmId vm, NodeId node) override;
    Async<void> order_restore(VmId vm) override;
    Async<void> order_stop(VmId vm) override;
    Async<std::vector<VmId>> stranded_starts() override;
    Async<void> move_start(VmId vm, NodeId from, NodeId to) override;
    Async<void> give_up_start(VmId vm, NodeId from, std::string reason) override;
    Async<std::vector<VmId>> stranded_orders() override;
    Async<void> give_up_order(VmId vm, NodeId from, std::string reason) override;
    Async<std::int64_t> order(VmId vm, VmCommand command, std::string argument) override;
    Async<std::optional<OrderAnswer>> order_answer(VmId vm, std::int64_t number) override;
    Async<VmOrder> take_order(VmId vm, NodeId node) override;
    Async<void> answer_order(VmId vm, std::int64_t number, OrderAnswer answer) override;
    Async<int> return_orders(NodeId node, std::optional<VmId> vm) override;
    Async<std::string> remember_checkpoint(VmId vm, std::int64_t incarnation,
                                           std::string path) override;
    Async<void> order_restart(VmId vm, std::int64_t incarnation) override;
    Async<void> forget_failures(VmId vm, std::int64_t incarnation) override;

    Async<std::vector<std::pair<VmId, VmCommand>>> pending_commands(NodeId node) override;
    Async<StartOrder> take_start(VmId vm, NodeId node) override;
    Async<StartOrder> retake_start(VmId vm, NodeId node, std::int64_t incarnation) override;
    Async<std::vector<std::pair<VmId, std::chrono::milliseconds>>> retries(NodeId node) override;
    Async<void> retry_start(VmId vm, NodeId node) override;
    Async<Timestamp> now() override;
    Async<void> take_stop(VmId vm, NodeId node) override;
    Async<void> transition(VmTransition change) override;
    Async<void> set_launch(VmId vm, std::int64_t incarnation, DiId di,
                           std::string hypervisor) override;
    Async<void> set_endpoints(VmId vm, std::int64_t incarnation, std::string address,
                              std::vector<Endpoint> endpoints) override;
    Async<void> clear_vm(VmTransition change) override;
    Async<void> report_usage(NodeId node, std::vector<VmUsage> usage) override;
    Async<void> agent_seen(VmId vm, std::int64_t incarnation) override;

    Async<NodeId> add_node(std::string name, std::string address) override;
    Async<void> delete_node(NodeId node) override;
    Async<std::vector<NodeRecord>> nodes() override;
    Async<std::optional<NodeRecord>> node(std::string name) override;
    Async<void> set_node_blocked(NodeId node, bool blocked) override;
    Async<std::int64_t> claim_node(NodeId node, std::string boot_id) override;
    Async<void> set_node_state(NodeId node, std::int64_t lease_epoch, NodeState state,
                               std::string reason) override;
    Async<void> heartbeat(NodeId node, std::int64_t lease_epoch, NodeLoad load) override;
    Async<void> count(NodeId node, NodeCounter counter, int by) override;

    Async<Acquired> acquire_session(NewSession session) override;
    Async<void> request_abort(VmId vm) override;
    Async<void> session_connected(SessionId session) override;
    Async<void> end_session(SessionId session, std::string reason) override;
    Async<std::vector<Session>> sessions_on(NodeId node) override;
    Async<int> reset_sessions(std::set<SessionId> sessions) override;
    Async<BrokerLook> broker_look(NodeId node, std::set<VmId> vms) override;
    Async<AgentAccess> agent_access(VmId vm) override;
    Async<Properties> session_properties(VmId vm) override;

    Async<Properties> properties(Owner owner, std::int64_t id) override;
    Async<std::map<std::int64_t, Properties>> all_properties(Owner owner) override;
    Async<std::vector<std::string>> property_values(std::string key) override;
    Async<void> set_properties(Owner owner, std::int64_t id,
                               std::map<std::string, std::optional<std::string>> values) override;

    Async<void> audit(std::string who, std::string operation, std::string subject) override;
    Async<std::vector<AuditLine>> audit_lines(int newest) override;

    // How often it has been asked anything, for orders to a node, and for all VMs.
    [[nodiscard]] int round_trips() const { return round_trips_; }
    [[nodiscard]] int looks() const { return looks_; }
    [[nodiscard]] int listings() const { return listings_; }

private:
    int round_trips_ = 0;
    int looks_ = 0;
    int listings_ = 0;
    bool loses_answers_ = false;
    // Once around the event loop; then store.down if that is what the test wants.
    Async<void> ready();

    std::shared_ptr<memory::Tables> tables_;
};

}  // namespace qvd::store
