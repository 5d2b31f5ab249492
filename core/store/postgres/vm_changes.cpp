// What becomes of a VM on PostgreSQL, as its node writes it down.
#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

constexpr const char* move_vm = R"(
WITH moved AS (
    UPDATE vm_runtimes AS r
    SET state = $4, phase = $5::smallint, reason = $6, reason_code = $9,
        since = CASE WHEN r.state <> $4 OR r.phase <> $5::smallint THEN now() ELSE r.since END,
        blocked = r.blocked OR $7::boolean,
        attempt = CASE WHEN $8::boolean THEN r.attempt + 1 ELSE r.attempt END,
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

// What is to be restarted keeps its node and its memory, with the order to start.
constexpr const char* clear = R"(
WITH ending AS (
    SELECT r.vm_id, r.command = 'start' OR (r.restarts AND $4 = 'stopped' AND EXISTS (
        SELECT FROM node_runtimes AS m
        WHERE m.node_id = r.node_id AND m.state <> 'stopping' AND NOT m.blocked)) AS starts
    FROM vm_runtimes AS r WHERE r.vm_id = $1::bigint FOR UPDATE
), cleared AS (
    UPDATE vm_runtimes AS r
    SET state = $4, phase = $5::smallint, reason = $6, reason_code = $9,
        since = CASE WHEN r.state <> $4 OR r.phase <> $5::smallint THEN now() ELSE r.since END,
        blocked = r.blocked OR $7::boolean,
        attempt = CASE WHEN $8::boolean THEN r.attempt + 1 WHEN $4 = 'stopped' THEN 0
                       ELSE r.attempt END,
        command = CASE WHEN ending.starts THEN 'start' END, saved_path = '',
        restarts = false, from_checkpoint = false, order_taken = NULL,
        order_answered = r.order_number,
        order_code = CASE WHEN r.order_answered < r.order_number THEN 'vm.ended' ELSE r.order_code END,
        order_answer = CASE WHEN r.order_answered < r.order_number THEN 'it has ended' ELSE r.order_answer END,
        node_id = CASE WHEN ending.starts THEN r.node_id END,
        last_node_id = r.node_id,
        address = NULL, current_di_id = NULL, hypervisor = NULL, agent_token = NULL, agent_seen = NULL,
        expires_soft = NULL, expires_hard = NULL,
        retry_at = CASE WHEN ending.starts IS NOT TRUE
                        THEN now() + $10::bigint * interval '1 millisecond' END
    FROM ending WHERE r.vm_id = ending.vm_id AND r.incarnation = $2::bigint AND r.state = ANY($3::text[])
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

}  // namespace

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
                            change.phase, change.reason, change.block, change.failure, change.code,
                            change.saved_path));
    if (rows.empty()) co_return co_await explain(change.vm, change.incarnation);
    co_return Result<void>{};
}

Async<void> PostgresStore::clear_vm(VmTransition change) {
    QVD_CO_CHECK(checks::transition(change, true));
    const std::string from = states_of(change);
    QVD_CO_TRY(const Rows rows,
               co_await ask(clear, change.vm, change.incarnation, from, to_string(change.to),
                            change.phase, change.reason, change.block, change.failure, change.code,
                            milliseconds_of(change.retry_in)));
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
