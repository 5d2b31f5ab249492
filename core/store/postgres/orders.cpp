// Orders to start and stop on PostgreSQL, and what the node makes of them.
#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

// Admissions to one node come one after the other, so that each sees the others' reservations.
constexpr const char* lock_node =
    "SELECT pg_advisory_xact_lock(713003, ($1::bigint % 2147483647)::int)";

constexpr const char* admit = R"(
WITH asked AS (
    SELECT r.vm_id, r.state, r.command, r.retry_at, o.memory
    FROM vm_runtimes AS r JOIN vms AS v ON v.id = r.vm_id JOIN osfs AS o ON o.id = v.osf_id
    WHERE r.vm_id = $1::bigint
), room AS (
    SELECT n.id, n.name, m.state, m.blocked,
        m.memory_total - (SELECT coalesce(sum(mib), 0) FROM reservations
                          WHERE node_id = n.id AND until > now() AND vm_id <> $1::bigint) AS mib
    FROM nodes AS n JOIN node_runtimes AS m ON m.node_id = n.id WHERE n.id = $2::bigint
), admitted AS (
    UPDATE vm_runtimes AS r SET command = 'start', node_id = room.id, retry_at = NULL
    FROM asked, room
    WHERE r.vm_id = asked.vm_id AND r.state IN ('stopped', 'failed') AND r.command IS NULL
      AND (r.retry_at IS NOT NULL OR NOT $3::boolean)
      AND room.state = 'running' AND NOT room.blocked AND asked.memory <= room.mib
    RETURNING r.vm_id
), reserved AS (
    INSERT INTO reservations (vm_id, node_id, mib, until)
    SELECT admitted.vm_id, room.id, asked.memory, now() + interval '10 minutes'
    FROM admitted, asked, room
    ON CONFLICT (vm_id) DO UPDATE
    SET node_id = excluded.node_id, mib = excluded.mib, until = excluded.until
)
SELECT EXISTS (SELECT FROM admitted) AS admitted,
    asked.vm_id IS NOT NULL AS known_vm,
    asked.state IN ('stopped', 'failed') AND asked.command IS NULL AS rests,
    asked.retry_at IS NOT NULL AS retries,
    room.id IS NOT NULL AS known_node, room.name, room.state, room.blocked,
    coalesce(asked.memory <= room.mib, false) AS fits
FROM (SELECT) AS always LEFT JOIN asked ON true LEFT JOIN room ON true)";

Error not_stopped(VmId vm) {
    return answers::conflict("vm.not_stopped",
                             "vm " + vm.text() + " is not stopped, or its start is ordered");
}

Result<void> admission(const Row& row, VmId vm, NodeId node, bool retry) {
    if (row.flag("admitted")) return {};
    if (!row.flag("known_vm")) return answers::missing("vm", vm.value());
    if (!row.flag("known_node")) return answers::missing("node", node.value());
    if (retry && !row.flag("retries")) return answers::no_retry(vm);
    if (!row.flag("rests")) return not_stopped(vm);
    const std::string name = "host " + row.text("name");
    const bool blocked = row.flag("blocked");
    if (row.text("state") != "running" || blocked)
        return Error{ErrorKind::unavailable, "node.unavailable",
                     name + " is " + (blocked ? "blocked" : row.text("state"))};
    if (!row.flag("fits"))
        return Error{ErrorKind::unavailable, "node.full",
                     name + " has no memory left for this virtual machine"};
    // Everything fitted when we looked, and then another was faster.
    return not_stopped(vm);
}

constexpr const char* withdraw = R"(
WITH withdrawn AS (
    UPDATE vm_runtimes SET command = NULL, node_id = NULL, retry_at = NULL
    WHERE vm_id = $1 AND state IN ('stopped', 'failed') AND (command = 'start' OR retry_at IS NOT NULL)
    RETURNING vm_id
), released AS (
    DELETE FROM reservations USING withdrawn WHERE reservations.vm_id = withdrawn.vm_id
)
SELECT vm_id FROM withdrawn)";

constexpr const char* order_to_stop = R"(
UPDATE vm_runtimes SET command = 'stop'
WHERE vm_id = $1 AND state IN ('starting', 'running', 'debug', 'paused', 'suspended'))";

constexpr const char* take_start_order = R"(
WITH taken AS (
    UPDATE vm_runtimes AS r
    SET command = NULL, state = 'starting', phase = 1, reason = '', reason_code = '', retry_at = NULL,
        since = now(), incarnation = r.incarnation + 1, agent_token = $3
    FROM vms AS v JOIN di_tags AS t ON t.osf_id = v.osf_id AND t.tag = v.di_tag
    WHERE v.id = r.vm_id AND r.vm_id = $1::bigint AND r.node_id = $2::bigint
      AND r.command = 'start' AND r.state IN ('stopped', 'failed')
    RETURNING r.vm_id
), reserved AS (
    INSERT INTO reservations (vm_id, node_id, mib)
    SELECT taken.vm_id, $2::bigint, o.memory
    FROM taken JOIN vms AS v ON v.id = taken.vm_id JOIN osfs AS o ON o.id = v.osf_id
    ON CONFLICT (vm_id) DO UPDATE
    SET node_id = excluded.node_id, mib = excluded.mib, until = excluded.until
)
UPDATE vm_counters SET run_attempts = run_attempts + 1 FROM taken
WHERE vm_counters.vm_id = taken.vm_id)";

// Without an image the order fails at once: does nothing after a successful take_start_order.
constexpr const char* fail_start_order = R"(
WITH failed AS (
    UPDATE vm_runtimes AS r
    SET command = NULL, node_id = NULL, state = 'failed', since = now(), reason_code = 'di.not_tagged',
        retry_at = NULL, reason = 'no image of its osf has the tag "' || v.di_tag || '"'
    FROM vms AS v
    WHERE v.id = r.vm_id AND r.vm_id = $1::bigint AND r.node_id = $2::bigint
      AND r.command = 'start' AND r.state IN ('stopped', 'failed')
    RETURNING r.vm_id, r.reason
), released AS (
    DELETE FROM reservations USING failed WHERE reservations.vm_id = failed.vm_id
)
SELECT reason FROM failed)";

constexpr const char* retake_start_order = R"(
UPDATE vm_runtimes AS r
SET incarnation = r.incarnation + 1, agent_token = $4
FROM vms AS v JOIN di_tags AS t ON t.osf_id = v.osf_id AND t.tag = v.di_tag
WHERE v.id = r.vm_id AND r.vm_id = $1::bigint AND r.node_id = $2::bigint
  AND r.incarnation = $3::bigint AND r.state = 'starting' AND r.phase = 1)";

constexpr const char* move_vm = R"(
WITH moved AS (
    UPDATE vm_runtimes AS r
    SET state = $4, phase = $5::smallint, reason = $6, reason_code = $9,
        since = CASE WHEN r.state <> $4 OR r.phase <> $5::smallint THEN now() ELSE r.since END,
        blocked = r.blocked OR $7::boolean,
        attempt = CASE WHEN $8::boolean THEN r.attempt + 1 WHEN $4 = 'running' THEN 0 ELSE r.attempt END,
        saved_path = CASE WHEN $4 = 'suspended' THEN $10 ELSE '' END,
        agent_seen = CASE WHEN $4 = 'running' AND r.state IN ('starting', 'debug') THEN now()
                          ELSE r.agent_seen END
    FROM vm_runtimes AS before
    WHERE before.vm_id = r.vm_id AND before.state = r.state
      AND r.vm_id = $1::bigint AND r.incarnation = $2::bigint AND r.state = ANY($3::text[])
    RETURNING r.vm_id, before.state AS from_state
), counted AS (
    UPDATE vm_counters SET run_ok = run_ok + 1 FROM moved
    WHERE vm_counters.vm_id = moved.vm_id AND $4 = 'running' AND moved.from_state = 'starting'
), released AS (
    DELETE FROM reservations USING moved WHERE reservations.vm_id = moved.vm_id AND $4 = 'suspended'
)
SELECT vm_id FROM moved)";

constexpr const char* clear = R"(
WITH cleared AS (
    UPDATE vm_runtimes AS r
    SET state = $4, phase = $5::smallint, reason = $6, reason_code = $9,
        since = CASE WHEN r.state <> $4 OR r.phase <> $5::smallint THEN now() ELSE r.since END,
        blocked = r.blocked OR $7::boolean,
        attempt = CASE WHEN $8::boolean THEN r.attempt + 1 ELSE r.attempt END,
        command = CASE WHEN r.command = 'start' THEN r.command END, saved_path = '',
        order_answered = r.order_number,
        order_code = CASE WHEN r.order_answered < r.order_number THEN 'vm.ended' ELSE r.order_code END,
        order_answer = CASE WHEN r.order_answered < r.order_number THEN 'it has ended' ELSE r.order_answer END,
        node_id = CASE WHEN r.command = 'start' THEN r.node_id END,
        last_node_id = r.node_id,
        address = NULL, current_di_id = NULL, hypervisor = NULL, agent_token = NULL, agent_seen = NULL,
        expires_soft = NULL, expires_hard = NULL,
        retry_at = CASE WHEN r.command IS DISTINCT FROM 'start'
                        THEN now() + $10::bigint * interval '1 millisecond' END
    WHERE r.vm_id = $1::bigint AND r.incarnation = $2::bigint AND r.state = ANY($3::text[])
    RETURNING r.vm_id, r.command
), unreachable AS (
    DELETE FROM endpoints USING cleared WHERE endpoints.vm_id = cleared.vm_id
), unused AS (
    DELETE FROM vm_usage USING cleared WHERE vm_usage.vm_id = cleared.vm_id
), released AS (
    DELETE FROM reservations USING cleared
    WHERE reservations.vm_id = cleared.vm_id AND cleared.command IS NULL
)
SELECT vm_id FROM cleared)";

std::string states_of(const VmTransition& change) {
    std::vector<std::string> names;
    for (const VmState state : change.from) names.emplace_back(to_string(state));
    return array_of(names);
}

std::optional<std::int64_t> milliseconds_of(std::optional<std::chrono::milliseconds> time) {
    if (!time) return std::nullopt;
    return time->count();
}

Error superseded(VmId vm) {
    return answers::conflict("vm.superseded", "vm " + vm.text() + " has been started anew");
}

// The answers to QVD_SELECT_VM and merged_properties, of a start just taken.
Result<StartOrder> order_of(const Rows& vm, const Rows& properties, const Secret& token) {
    StartOrder order;
    order.record = vm_record(vm[0]);
    QVD_CHECK(vm.check());
    // Only one who took the tag away since could be the reason; the image is still there then.
    if (!order.record.di)
        return Error{
            ErrorKind::unavailable, "store.again",
            "the tag of vm " + order.record.vm.id.text() + " was moved at the same moment"};
    order.di = *order.record.di;
    order.agent_token = token;
    order.properties = merged(properties);
    return order;
}

}  // namespace

Async<void> PostgresStore::order_start(VmId vm, NodeId node) {
    return admit_start(vm, node, false);
}

Async<void> PostgresStore::retry_start(VmId vm, NodeId node) {
    return admit_start(vm, node, true);
}

Async<void> PostgresStore::admit_start(VmId vm, NodeId node, bool retry) {
    std::vector<Statement> batch;
    batch.emplace_back(lock_node, node);
    batch.emplace_back(admit, vm, node, retry);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    co_return admission(rows[1][0], vm, node, retry);
}

Async<std::vector<std::pair<VmId, std::chrono::milliseconds>>> PostgresStore::retries(NodeId node) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT vm_id, (extract(epoch FROM retry_at - now()) * 1000)::bigint "
                            "AS wait FROM vm_runtimes WHERE last_node_id = $1 AND retry_at IS NOT "
                            "NULL AND state = 'failed' ORDER BY vm_id",
                            node));
    std::vector<std::pair<VmId, std::chrono::milliseconds>> all;
    all.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i)
        all.emplace_back(rows[i].id<VmId>("vm_id"),
                         std::chrono::milliseconds{rows[i].integer("wait")});
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<void> PostgresStore::order_stop(VmId vm) {
    std::vector<Statement> batch;
    batch.emplace_back(withdraw, vm);
    batch.emplace_back(order_to_stop, vm);
    batch.emplace_back("SELECT state, phase FROM vm_runtimes WHERE vm_id = $1", vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (!rows[0].empty() || rows[1].changed() > 0) co_return Result<void>{};
    if (rows[2].empty()) co_return answers::missing("vm", vm.value());
    const VmState state = rows[2][0].parsed("state", &parse_vm_state);
    co_return answers::conflict(
        "vm.not_running", "vm " + vm.text() + " is " + to_string(state, rows[2][0].small("phase")));
}

Async<std::vector<std::pair<VmId, VmCommand>>> PostgresStore::pending_commands(NodeId node) {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT vm_id, command FROM vm_runtimes WHERE node_id "
                                             "= $1 AND command IS NOT NULL ORDER BY vm_id",
                                             node));
    std::vector<std::pair<VmId, VmCommand>> pending;
    pending.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i)
        pending.emplace_back(rows[i].id<VmId>("vm_id"),
                             rows[i].parsed("command", &parse_vm_command));
    QVD_CO_CHECK(rows.check());
    co_return pending;
}

Async<StartOrder> PostgresStore::take_start(VmId vm, NodeId node) {
    const Secret token = random_token(32);
    std::vector<Statement> batch;
    batch.emplace_back(take_start_order, vm, node, token);
    batch.emplace_back(fail_start_order, vm, node);
    batch.emplace_back(QVD_SELECT_VM("WHERE v.id = $1"), vm);
    batch.emplace_back(merged_properties, vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[2].empty()) co_return answers::missing("vm", vm.value());
    if (!rows[1].empty())
        co_return Error{ErrorKind::not_found, "di.not_tagged",
                        "vm " + vm.text() + ": " + rows[1][0].text("reason")};
    if (rows[0].changed() == 0) co_return answers::no_command(vm);
    co_return order_of(rows[2], rows[3], token);
}

Async<StartOrder> PostgresStore::retake_start(VmId vm, NodeId node, std::int64_t incarnation) {
    const Secret token = random_token(32);
    std::vector<Statement> batch;
    batch.emplace_back(retake_start_order, vm, node, incarnation, token);
    batch.emplace_back(QVD_SELECT_VM("WHERE v.id = $1"), vm);
    batch.emplace_back(merged_properties, vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].changed() == 1) co_return order_of(rows[1], rows[2], token);
    if (rows[1].empty()) co_return answers::missing("vm", vm.value());
    const VmRecord record = vm_record(rows[1][0]);
    QVD_CO_CHECK(rows[1].check());
    if (!record.di)
        co_return Error{
            ErrorKind::not_found, "di.not_tagged",
            "vm " + vm.text() + ": no image of its osf has the tag \"" + record.vm.di_tag + "\""};
    const Result<void> explained = co_await explain(vm, incarnation);
    co_return explained.error();
}

Async<Timestamp> PostgresStore::now() {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT now() AS now"));
    const Timestamp now = rows[0].time("now");
    QVD_CO_CHECK(rows.check());
    co_return now;
}

Async<void> PostgresStore::take_stop(VmId vm, NodeId node) {
    QVD_CO_TRY(const Rows rows, co_await ask("UPDATE vm_runtimes SET command = NULL WHERE vm_id = "
                                             "$1 AND node_id = $2 AND command = 'stop'",
                                             vm, node));
    if (rows.changed() == 1) co_return Result<void>{};
    QVD_CO_TRY(const Rows known, co_await ask("SELECT FROM vms WHERE id = $1", vm));
    if (known.empty()) co_return answers::missing("vm", vm.value());
    co_return answers::no_command(vm);
}

Async<void> PostgresStore::explain(VmId vm, std::int64_t incarnation) {
    QVD_CO_TRY(
        const Rows rows,
        co_await ask("SELECT state, phase, incarnation FROM vm_runtimes WHERE vm_id = $1", vm));
    if (rows.empty()) co_return answers::missing("vm", vm.value());
    const VmState state = rows[0].parsed("state", &parse_vm_state);
    const int phase = rows[0].small("phase");
    if (rows[0].integer("incarnation") != incarnation) co_return superseded(vm);
    co_return answers::conflict("vm.state",
                                "vm " + vm.text() + " is " + to_string(state, phase) + " by now");
}

Async<void> PostgresStore::transition(VmTransition change) {
    QVD_CO_CHECK(checks::transition(change, false));
    const std::string from = states_of(change);
    QVD_CO_TRY(const Rows rows,
               co_await ask(move_vm, change.vm, change.incarnation, from, to_string(change.to),
                            change.phase, change.reason, change.block, change.failed_start,
                            change.code, change.saved_path));
    if (rows.empty()) co_return co_await explain(change.vm, change.incarnation);
    co_return Result<void>{};
}

Async<void> PostgresStore::clear_vm(VmTransition change) {
    QVD_CO_CHECK(checks::transition(change, true));
    const std::string from = states_of(change);
    QVD_CO_TRY(const Rows rows,
               co_await ask(clear, change.vm, change.incarnation, from, to_string(change.to),
                            change.phase, change.reason, change.block, change.failed_start,
                            change.code, milliseconds_of(change.retry_in)));
    if (rows.empty()) co_return co_await explain(change.vm, change.incarnation);
    co_return Result<void>{};
}

Async<void> PostgresStore::set_launch(VmId vm, std::int64_t incarnation, DiId di,
                                      std::string hypervisor) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("UPDATE vm_runtimes SET current_di_id = $3, hypervisor = $4 WHERE "
                            "vm_id = $1 AND incarnation = $2 AND state NOT IN "
                            "('stopped', 'failed')",
                            vm, incarnation, di, hypervisor));
    if (rows.changed() == 0) co_return co_await explain(vm, incarnation);
    co_return Result<void>{};
}

Async<void> PostgresStore::set_endpoints(VmId vm, std::int64_t incarnation, std::string address,
                                         std::vector<Endpoint> endpoints) {
    if (!address.empty()) QVD_CO_CHECK(checks::address(address));
    QVD_CO_CHECK(checks::endpoints(endpoints));
    std::vector<Statement> batch;
    // The first statement locks the row: the others see no other incarnation than it did.
    batch.emplace_back(
        "UPDATE vm_runtimes SET address = nullif($3, '')::inet WHERE vm_id = $1 AND incarnation = "
        "$2 AND state NOT IN ('stopped', 'failed')",
        vm, incarnation, address);
    batch.emplace_back(
        "DELETE FROM endpoints USING vm_runtimes AS r WHERE endpoints.vm_id = r.vm_id AND r.vm_id "
        "= $1 AND r.incarnation = $2 AND r.state NOT IN ('stopped', 'failed')",
        vm, incarnation);
    for (const Endpoint& endpoint : endpoints)
        batch.emplace_back(
            "INSERT INTO endpoints SELECT vm_id, $3, $4, $5, $6::integer FROM vm_runtimes WHERE "
            "vm_id = $1 AND incarnation = $2 AND state NOT IN ('stopped', 'failed')",
            vm, incarnation, endpoint.kind, endpoint.transport, endpoint.address, endpoint.port);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].changed() == 0) co_return co_await explain(vm, incarnation);
    co_return Result<void>{};
}

}  // namespace qvd::store::postgres
