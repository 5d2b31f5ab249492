// The Store on PostgreSQL, one file for each subject.
#pragma once

#include "store/postgres/listener.hpp"
#include "store/postgres/pool.hpp"

namespace qvd::store::postgres {

class PostgresStore final : public Store {
public:
    PostgresStore(boost::asio::any_io_executor executor, const Access& access);
    ~PostgresStore() override;
    PostgresStore(const PostgresStore&) = delete;
    PostgresStore& operator=(const PostgresStore&) = delete;

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

private:
    // One statement by itself. Not a coroutine: the arguments are copied before it returns.
    template <class... T>
    Async<Rows> ask(const char* sql, const T&... arguments) {
        return ask_one(pool_, Statement(sql, arguments...));
    }
    static Async<Rows> ask_one(std::shared_ptr<Pool> pool, Statement statement);
    // For changes of one row that must exist: "WHAT.not_found" if none was changed.
    template <class... T>
    Async<void> change(const char* what, std::int64_t id, const char* sql, const T&... arguments) {
        return change_one(pool_, what, id, Statement(sql, arguments...));
    }
    static Async<void> change_one(std::shared_ptr<Pool> pool, const char* what, std::int64_t id,
                                  Statement statement);
    Async<std::vector<VmRecord>> vm_records(Statement statement);
    enum class Admission { fresh, retry, restore };
    Async<void> admit_start(VmId vm, NodeId node, Admission how);
    // Why a change of a VM's runtime row did nothing: unknown, of another incarnation or state.
    Async<void> explain(VmId vm, std::int64_t incarnation);

    std::shared_ptr<Pool> pool_;
    std::shared_ptr<Listener> listener_;
};

}  // namespace qvd::store::postgres
