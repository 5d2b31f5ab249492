// Orders besides start and stop on PostgreSQL, and their answers.
#include "store/answers.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

// Admissions to one node come one after the other, as those of starts do.
constexpr const char* lock_its_node = R"(
SELECT pg_advisory_xact_lock(713003, (coalesce(node_id, 0) % 2147483647)::int)
FROM vm_runtimes WHERE vm_id = $1)";

// Memory is needed only by what has none: a suspended VM.
constexpr const char* give_order = R"(
WITH asked AS (
    SELECT r.vm_id, r.state, r.phase, r.command, r.node_id, o.memory, n.name AS node_name,
        m.state AS node_state, m.blocked AS node_blocked,
        m.memory_total - (SELECT coalesce(sum(mib), 0) FROM reservations
                          WHERE node_id = r.node_id AND until > now() AND vm_id <> r.vm_id) AS mib
    FROM vm_runtimes AS r JOIN vms AS v ON v.id = r.vm_id JOIN osfs AS o ON o.id = v.osf_id
    LEFT JOIN nodes AS n ON n.id = r.node_id LEFT JOIN node_runtimes AS m ON m.node_id = r.node_id
    WHERE r.vm_id = $1::bigint
), given AS (
    UPDATE vm_runtimes AS r SET command = $2, order_argument = $3, order_number = r.order_number + 1
    FROM asked
    WHERE r.vm_id = asked.vm_id AND r.command IS NULL AND r.state = asked.state
      AND r.state = ANY($4::text[])
      AND ($2 <> 'resume' OR (asked.node_state = 'running' AND NOT asked.node_blocked
                              AND asked.memory <= asked.mib))
    RETURNING r.vm_id, r.order_number
), reserved AS (
    INSERT INTO reservations (vm_id, node_id, mib)
    SELECT given.vm_id, asked.node_id, asked.memory FROM given, asked WHERE $2 = 'resume'
    ON CONFLICT (vm_id) DO UPDATE
    SET node_id = excluded.node_id, mib = excluded.mib, until = excluded.until
)
SELECT asked.*, given.order_number, asked.state = ANY($4::text[]) AS fits,
    asked.memory <= asked.mib AS has_room
FROM asked LEFT JOIN given ON true)";

// One that could not be resumed gives its memory back.
constexpr const char* write_answer = R"(
WITH answered AS (
    UPDATE vm_runtimes SET order_answered = $2, order_code = $3, order_answer = $4,
        order_taken = CASE WHEN order_taken = 'stop' THEN order_taken END
    WHERE vm_id = $1 AND order_answered < $2 RETURNING vm_id, state
)
DELETE FROM reservations USING answered
WHERE reservations.vm_id = answered.vm_id AND answered.state = 'suspended' AND $3 <> '')";

// A stop that was ordered since comes first, and answers this one then.
constexpr const char* return_taken = R"(
UPDATE vm_runtimes SET command = order_taken, order_taken = NULL
WHERE node_id = $1 AND ($2::bigint IS NULL OR vm_id = $2::bigint) AND command IS NULL
  AND CASE WHEN order_taken = 'stop' THEN state NOT IN ('stopping', 'zombie')
           ELSE order_answered < order_number END)";

constexpr const char* keep_checkpoint = R"(
WITH former AS (
    SELECT path, node_id FROM checkpoints WHERE vm_id = $1
), kept AS (
    INSERT INTO checkpoints (vm_id, path, node_id, di_id, hypervisor, agent_token)
    SELECT vm_id, $3, node_id, current_di_id, coalesce(hypervisor, ''), agent_token
    FROM vm_runtimes
    WHERE vm_id = $1 AND incarnation = $2 AND state NOT IN ('stopped', 'failed')
    ON CONFLICT (vm_id) DO UPDATE
    SET path = excluded.path, at = now(), node_id = excluded.node_id, di_id = excluded.di_id,
        hypervisor = excluded.hypervisor, agent_token = excluded.agent_token
    RETURNING node_id
)
SELECT CASE WHEN former.node_id = kept.node_id AND former.path <> $3 THEN former.path
            ELSE '' END AS former
FROM kept LEFT JOIN former ON true)";

std::string states_for(VmCommand command) {
    std::vector<std::string> names;
    for (const VmState state :
         {VmState::running, VmState::debug, VmState::paused, VmState::suspended})
        if (may_be_ordered(command, state)) names.emplace_back(to_string(state));
    return array_of(names);
}

Result<std::int64_t> number_of(const Row& row, VmId vm, VmCommand command) {
    if (!row.is_null("order_number")) return row.integer("order_number");
    const VmState state = row.parsed("state", &parse_vm_state);
    if (!row.flag("fits")) return answers::not_orderable(vm, command, state, row.small("phase"));
    if (!row.is_null("command")) return answers::order_pending(vm);
    const std::string host = row.text("node_name");
    const bool blocked = row.flag("node_blocked");
    if (row.text("node_state") != "running" || blocked)
        return answers::node_unavailable(host, blocked ? "blocked" : row.text("node_state"));
    if (!row.flag("has_room")) return answers::node_full(host);
    return answers::order_pending(vm);
}

}  // namespace

Async<std::int64_t> PostgresStore::order(VmId vm, VmCommand command, std::string argument) {
    std::vector<Statement> batch;
    const std::string states = states_for(command);
    batch.emplace_back(lock_its_node, vm);
    batch.emplace_back(give_order, vm, to_string(command), argument, states);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[1].empty()) co_return answers::missing("vm", vm.value());
    const Result<std::int64_t> number = number_of(rows[1][0], vm, command);
    QVD_CO_CHECK(rows[1].check());
    co_return number;
}

Async<VmOrder> PostgresStore::take_order(VmId vm, NodeId node) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("WITH asked AS (SELECT vm_id, command FROM vm_runtimes WHERE vm_id = "
                            "$1 FOR UPDATE) UPDATE vm_runtimes AS r SET command = NULL, "
                            "order_taken = asked.command FROM asked WHERE r.vm_id = asked.vm_id "
                            "AND r.node_id = $2 AND asked.command NOT "
                            "IN ('start', 'stop') RETURNING asked.command, r.order_argument, "
                            "r.order_number",
                            vm, node));
    if (rows.empty()) co_return answers::no_command(vm);
    VmOrder order;
    order.command = rows[0].parsed("command", &parse_vm_command);
    order.argument = rows[0].text("order_argument");
    order.number = rows[0].integer("order_number");
    QVD_CO_CHECK(rows.check());
    co_return order;
}

Async<void> PostgresStore::answer_order(VmId vm, std::int64_t number, OrderAnswer answer) {
    QVD_CO_CHECK(co_await ask(write_answer, vm, number, answer.code, answer.text));
    co_return Result<void>{};
}

Async<std::optional<OrderAnswer>> PostgresStore::order_answer(VmId vm, std::int64_t number) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT order_answered, order_code, order_answer FROM vm_runtimes "
                            "WHERE vm_id = $1",
                            vm));
    if (rows.empty()) co_return answers::missing("vm", vm.value());
    std::optional<OrderAnswer> answer;
    if (rows[0].integer("order_answered") >= number)
        answer = OrderAnswer{rows[0].text("order_code"), rows[0].text("order_answer")};
    QVD_CO_CHECK(rows.check());
    co_return answer;
}

Async<int> PostgresStore::return_orders(NodeId node, std::optional<VmId> vm) {
    std::optional<std::int64_t> only;
    if (vm) only = vm->value();
    QVD_CO_TRY(const Rows rows, co_await ask(return_taken, node, only));
    co_return static_cast<int>(rows.changed());
}

Async<std::string> PostgresStore::remember_checkpoint(VmId vm, std::int64_t incarnation,
                                                      std::string path) {
    QVD_CO_TRY(const Rows rows, co_await ask(keep_checkpoint, vm, incarnation, path));
    if (rows.empty()) {
        const Result<void> explained = co_await explain(vm, incarnation);
        co_return explained.error();
    }
    std::string former = rows[0].text("former");
    QVD_CO_CHECK(rows.check());
    co_return former;
}

Async<void> PostgresStore::order_restart(VmId vm, std::int64_t incarnation) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("UPDATE vm_runtimes SET restarts = true WHERE vm_id = $1 AND "
                            "incarnation = $2 AND state NOT IN ('stopped', 'failed')",
                            vm, incarnation));
    if (rows.changed() == 0) co_return co_await explain(vm, incarnation);
    co_return Result<void>{};
}

Async<void> PostgresStore::forget_failures(VmId vm, std::int64_t incarnation) {
    QVD_CO_TRY(const Rows rows, co_await ask("UPDATE vm_runtimes SET attempt = 0 WHERE vm_id = $1 "
                                             "AND incarnation = $2",
                                             vm, incarnation));
    if (rows.changed() == 0) co_return co_await explain(vm, incarnation);
    co_return Result<void>{};
}

}  // namespace qvd::store::postgres
