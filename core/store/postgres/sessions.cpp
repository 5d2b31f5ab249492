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
    for (int i = 0; i < rows.size(); ++i) all.push_back(session_of(rows[i]));
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<int> PostgresStore::reset_sessions(NodeId node, std::set<std::string> alive_workers) {
    const std::vector<std::string> alive(alive_workers.begin(), alive_workers.end());
    const std::string array = array_of(alive);
    QVD_CO_TRY(const Rows rows,
               co_await ask("UPDATE sessions SET state = 'disconnected', since = now(), ended = "
                            "now(), reason = 'its worker is gone' WHERE node_id = $1 AND state <> "
                            "'disconnected' AND NOT worker = ANY($2::text[])",
                            node, array));
    co_return rows.changed();
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
