#include "store/checks.hpp"
#include "store/memory/tables.hpp"

namespace qvd::store {

using memory::VmRow;

Async<Acquired> MemoryStore::acquire_session(NewSession session) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(session.client_address, checks::client_address(session.client_address));
    QVD_CO_CHECK(tables_->vm(session.vm));
    if (!tables_->users.contains(session.user)) co_return answers::violated("sessions_user_fkey");
    if (!tables_->nodes.contains(session.node)) co_return answers::violated("sessions_node_fkey");
    Acquired acquired;
    if (const Session* const holder = tables_->live_session(session.vm)) {
        acquired.holder = *holder;
        co_return acquired;
    }
    Session row;
    row.id = SessionId{tables_->next_id()};
    row.vm = session.vm;
    row.user = session.user;
    row.client_address = std::move(session.client_address);
    row.node = session.node;
    row.worker = std::move(session.worker);
    row.since = tables_->now();
    acquired.session = row;
    tables_->sessions[row.id] = std::move(row);
    co_return acquired;
}

Async<void> MemoryStore::request_abort(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_CHECK(tables_->vm(vm));
    if (Session* const session = tables_->live_session(vm)) {
        session->abort_requested = true;
        tables_->announce({Announcement::What::session_abort, vm, session->node});
    }
    co_return Result<void>{};
}

Async<void> MemoryStore::session_connected(SessionId session) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->sessions.find(session);
    if (found == tables_->sessions.end()) co_return answers::missing("session", session.value());
    Session& row = found->second;
    if (row.state == SessionState::disconnected)
        co_return answers::conflict("session.ended", "the session has been ended");
    if (row.abort_requested)
        co_return answers::conflict("session.aborted", "the session was asked to end");
    if (row.state == SessionState::connecting) {
        row.state = SessionState::connected;
        tables_->announce_vms();
        row.since = tables_->now();
    }
    co_return Result<void>{};
}

Async<void> MemoryStore::end_session(SessionId session, std::string /*reason*/) {
    QVD_CO_CHECK(co_await ready());
    const auto found = tables_->sessions.find(session);
    if (found == tables_->sessions.end()) co_return answers::missing("session", session.value());
    if (found->second.state != SessionState::disconnected) tables_->end(found->second);
    co_return Result<void>{};
}

Async<std::vector<Session>> MemoryStore::sessions_on(NodeId node) {
    QVD_CO_CHECK(co_await ready());
    std::vector<Session> all;
    for (const auto& [id, session] : tables_->sessions)
        if (session.node == node && session.state != SessionState::disconnected)
            all.push_back(session);
    co_return all;
}

Async<int> MemoryStore::reset_sessions(std::set<SessionId> sessions) {
    QVD_CO_CHECK(co_await ready());
    int reset = 0;
    for (auto& [id, session] : tables_->sessions) {
        if (session.state == SessionState::disconnected || !sessions.contains(id)) continue;
        tables_->end(session);
        ++reset;
    }
    co_return reset;
}

Async<BrokerLook> MemoryStore::broker_look(NodeId node, std::set<VmId> vms) {
    QVD_CO_CHECK(co_await ready());
    BrokerLook look;
    for (const VmId id : vms) {
        const auto found = tables_->vms.find(id);
        if (found == tables_->vms.end()) continue;
        const VmRuntime& runtime = found->second.runtime;
        const Session* const session = tables_->live_session(id);
        look.vms[id] = {runtime.state, runtime.phase, runtime.incarnation,
                        runtime.command.has_value(),
                        session == nullptr ? SessionId{} : session->id};
    }
    for (const auto& [id, session] : tables_->sessions)
        if (session.node == node && session.abort_requested &&
            session.state != SessionState::disconnected)
            look.unwanted[id] = session.vm;
    co_return look;
}

Async<Store::AgentAccess> MemoryStore::agent_access(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(const VmRow* const row, tables_->vm(vm));
    AgentAccess access;
    for (const Endpoint& endpoint : row->endpoints) {
        if (endpoint.transport != "tcp") continue;
        if (endpoint.kind == "agent") {
            access.agent_port = endpoint.port;
            access.address = endpoint.address;
        }
        if (endpoint.kind == "nx") access.nx_port = endpoint.port;
    }
    if (access.agent_port == 0)
        co_return Error{ErrorKind::unavailable, "vm.no_agent",
                        "vm " + vm.text() + " has no agent to talk to now"};
    if (access.address.empty()) access.address = row->runtime.address;
    access.token = row->token;
    access.incarnation = row->runtime.incarnation;
    co_return access;
}

Async<Properties> MemoryStore::session_properties(VmId vm) {
    QVD_CO_CHECK(co_await ready());
    QVD_CO_TRY(const VmRow* const row, tables_->vm(vm));
    const memory::DiRow* const di = row->runtime.current_di
                                        ? &tables_->dis.at(*row->runtime.current_di)
                                        : tables_->tagged(row->vm.osf, row->vm.di_tag);
    co_return tables_->merged(*row, di);
}

}  // namespace qvd::store
