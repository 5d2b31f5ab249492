#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

constexpr const char* forget_old =
    "DELETE FROM sessions WHERE vm_id = $1 AND ended < now() - interval '90 days'";

constexpr const char* insert_session =
    "INSERT INTO sessions AS s (vm_id, user_id, client_address, node_id, worker) "
    "VALUES ($1, $2, nullif($3, '')::inet, $4, $5) "
    "ON CONFLICT (vm_id) WHERE state <> 'disconnected' DO NOTHING RETURNING " QVD_SESSION_COLUMNS;

constexpr const char* live_session =
    "SELECT " QVD_SESSION_COLUMNS
    "FROM sessions AS s WHERE s.vm_id = $1 AND s.state <> 'disconnected'";

constexpr const char* select_access = R"(
SELECT r.incarnation, r.agent_token, host(r.address) AS address, a.address AS agent_address,
    a.port AS agent_port, x.port AS nx_port
FROM vm_runtimes AS r
LEFT JOIN endpoints AS a ON a.vm_id = r.vm_id AND a.kind = 'agent' AND a.transport = 'tcp'
LEFT JOIN endpoints AS x ON x.vm_id = r.vm_id AND x.kind = 'nx' AND x.transport = 'tcp'
WHERE r.vm_id = $1)";

constexpr const char* select_glimpses = R"(
SELECT r.vm_id, r.state, r.phase, r.incarnation, r.command IS NOT NULL AS commanded,
    s.id AS session_id
FROM vm_runtimes AS r
LEFT JOIN sessions AS s ON s.vm_id = r.vm_id AND s.state <> 'disconnected'
WHERE r.vm_id = ANY($1::bigint[]))";

template <class Id>
std::string array_of_ids(const std::set<Id>& ids) {
    std::vector<std::string> texts;
    texts.reserve(ids.size());
    for (const Id id : ids) texts.push_back(id.text());
    return array_of(texts);
}

// Who held the VM a moment ago may have let go since: then it is tried again.
constexpr int attempts = 5;

}  // namespace

Async<Acquired> PostgresStore::acquire_session(NewSession session) {
    QVD_CO_TRY(const std::string client, checks::client_address(session.client_address));
    for (int attempt = 0; attempt < attempts; ++attempt) {
        std::vector<Statement> batch;
        if (attempt == 0) batch.emplace_back(forget_old, session.vm);
        batch.emplace_back(insert_session, session.vm, session.user, client, session.node,
                           session.worker);
        batch.emplace_back(live_session, session.vm);
        QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
        const Rows& inserted = rows[rows.size() - 2];
        const Rows& live = rows.back();
        Acquired acquired;
        if (!inserted.empty()) acquired.session = session_of(inserted[0]);
        if (inserted.empty() && !live.empty()) acquired.holder = session_of(live[0]);
        QVD_CO_CHECK(inserted.check());
        QVD_CO_CHECK(live.check());
        if (acquired.session || acquired.holder) co_return acquired;
    }
    co_return Error{ErrorKind::unavailable, "store.again",
                    "the sessions of vm " + session.vm.text() + " come and go too fast"};
}

Async<void> PostgresStore::request_abort(VmId vm) {
    std::vector<Statement> batch;
    batch.emplace_back(
        "UPDATE sessions SET abort_requested = true WHERE vm_id = $1 AND state <> 'disconnected'",
        vm);
    batch.emplace_back("SELECT FROM vms WHERE id = $1", vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[1].empty()) co_return answers::missing("vm", vm.value());
    co_return Result<void>{};
}

Async<void> PostgresStore::session_connected(SessionId session) {
    std::vector<Statement> batch;
    batch.emplace_back(
        "UPDATE sessions SET since = CASE state WHEN 'connecting' THEN now() ELSE since END, "
        "state = 'connected' WHERE id = $1 AND state <> 'disconnected' AND NOT abort_requested",
        session);
    batch.emplace_back("SELECT state FROM sessions WHERE id = $1", session);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].changed() == 1) co_return Result<void>{};
    if (rows[1].empty()) co_return answers::missing("session", session.value());
    if (rows[1][0].text("state") == "disconnected")
        co_return answers::conflict("session.ended", "the session has been ended");
    co_return answers::conflict("session.aborted", "the session was asked to end");
}

Async<void> PostgresStore::end_session(SessionId session, std::string reason) {
    std::vector<Statement> batch;
    batch.emplace_back(
        "UPDATE sessions SET state = 'disconnected', since = now(), ended = now(), reason = $2 "
        "WHERE id = $1 AND state <> 'disconnected'",
        session, reason);
    batch.emplace_back("SELECT FROM sessions WHERE id = $1", session);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[1].empty()) co_return answers::missing("session", session.value());
    co_return Result<void>{};
}

Async<std::vector<Session>> PostgresStore::sessions_on(NodeId node) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT " QVD_SESSION_COLUMNS
                            "FROM sessions AS s WHERE s.node_id = $1 AND s.state <> "
                            "'disconnected' ORDER BY s.id",
                            node));
    std::vector<Session> all;
    all.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i) all.push_back(session_of(rows[i]));
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<int> PostgresStore::reset_sessions(std::set<SessionId> sessions) {
    const std::string array = array_of_ids(sessions);
    QVD_CO_TRY(const Rows rows,
               co_await ask("UPDATE sessions SET state = 'disconnected', since = now(), ended = "
                            "now(), reason = 'its worker is gone' WHERE id = ANY($1::bigint[]) "
                            "AND state <> 'disconnected'",
                            array));
    co_return rows.changed();
}

Async<BrokerLook> PostgresStore::broker_look(NodeId node, std::set<VmId> vms) {
    const std::string array = array_of_ids(vms);
    std::vector<Statement> batch;
    batch.emplace_back(select_glimpses, array);
    batch.emplace_back(
        "SELECT id, vm_id FROM sessions WHERE node_id = $1 AND state <> 'disconnected' AND "
        "abort_requested",
        node);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    BrokerLook look;
    for (int i = 0; i < rows[0].size(); ++i) {
        const Row row = rows[0][i];
        look.vms[row.id<VmId>("vm_id")] = {
            row.parsed("state", &parse_vm_state), row.small("phase"), row.integer("incarnation"),
            row.flag("commanded"), row.maybe_id<SessionId>("session_id").value_or(SessionId{})};
    }
    for (int i = 0; i < rows[1].size(); ++i)
        look.unwanted[rows[1][i].id<SessionId>("id")] = rows[1][i].id<VmId>("vm_id");
    QVD_CO_CHECK(rows[0].check());
    QVD_CO_CHECK(rows[1].check());
    co_return look;
}

Async<Store::AgentAccess> PostgresStore::agent_access(VmId vm) {
    QVD_CO_TRY(const Rows rows, co_await ask(select_access, vm));
    if (rows.empty()) co_return answers::missing("vm", vm.value());
    const Row row = rows[0];
    if (row.is_null("agent_port") || row.integer("agent_port") == 0)
        co_return Error{ErrorKind::unavailable, "vm.no_agent",
                        "vm " + vm.text() + " has no agent to talk to now"};
    AgentAccess access;
    access.incarnation = row.integer("incarnation");
    access.token = Secret(row.text("agent_token"));
    access.address = row.text("agent_address");
    if (access.address.empty()) access.address = row.text("address");
    access.agent_port = row.small("agent_port");
    if (!row.is_null("nx_port")) access.nx_port = row.small("nx_port");
    QVD_CO_CHECK(rows.check());
    co_return access;
}

Async<Properties> PostgresStore::session_properties(VmId vm) {
    std::vector<Statement> batch;
    batch.emplace_back("SELECT FROM vms WHERE id = $1", vm);
    batch.emplace_back(merged_properties, vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].empty()) co_return answers::missing("vm", vm.value());
    co_return merged(rows[1]);
}

}  // namespace qvd::store::postgres
