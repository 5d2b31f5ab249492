// PostgreSQL: what was ordered to a node which died before it did it.
#include "store/answers.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

constexpr const char* find_stranded = R"(
SELECT r.vm_id FROM vm_runtimes AS r JOIN node_runtimes AS m ON m.node_id = r.node_id
WHERE r.command = 'start' AND r.state IN ('stopped', 'failed')
  AND m.seen < now() - make_interval(secs => $1::bigint)
ORDER BY r.vm_id)";

constexpr const char* find_unanswered = R"(
SELECT r.vm_id FROM vm_runtimes AS r JOIN node_runtimes AS m ON m.node_id = r.node_id
WHERE r.order_answered < r.order_number AND m.seen < now() - make_interval(secs => $1::bigint)
ORDER BY r.vm_id)";

// The dead node takes it by the same row (take_start): one of both finds it changed.
constexpr const char* move_stranded = R"(
WITH asked AS (
    SELECT r.vm_id, o.memory, NOT r.from_checkpoint AND r.command = 'start' AND r.node_id = $2::bigint
        AND r.state IN ('stopped', 'failed')
        AND m.seen < now() - make_interval(secs => $4::bigint) AS stranded
    FROM vm_runtimes AS r JOIN vms AS v ON v.id = r.vm_id JOIN osfs AS o ON o.id = v.osf_id
    LEFT JOIN node_runtimes AS m ON m.node_id = r.node_id
    WHERE r.vm_id = $1::bigint
), room AS (
    SELECT n.id, n.name, m.state, m.blocked,
        m.memory_total - (SELECT coalesce(sum(mib), 0) FROM reservations
                          WHERE node_id = n.id AND until > now() AND vm_id <> $1::bigint) AS mib
    FROM nodes AS n JOIN node_runtimes AS m ON m.node_id = n.id WHERE n.id = $3::bigint
), moved AS (
    UPDATE vm_runtimes AS r SET node_id = room.id
    FROM asked, room
    WHERE r.vm_id = asked.vm_id AND asked.stranded AND NOT r.from_checkpoint
      AND r.command = 'start' AND r.node_id = $2::bigint AND r.state IN ('stopped', 'failed')
      AND room.state = 'running' AND NOT room.blocked AND asked.memory <= room.mib
    RETURNING r.vm_id, r.node_id
), reserved AS (
    INSERT INTO reservations (vm_id, node_id, mib, until)
    SELECT moved.vm_id, moved.node_id, asked.memory, now() + interval '10 minutes'
    FROM moved, asked
    ON CONFLICT (vm_id) DO UPDATE
    SET node_id = excluded.node_id, mib = excluded.mib, until = excluded.until
)
SELECT (SELECT count(*) FROM moved) AS moved,
    (SELECT pg_notify('qvd_vm_command', vm_id || ' ' || node_id)::text FROM moved) AS told,
    asked.vm_id IS NOT NULL AS known_vm, coalesce(asked.stranded, false) AS stranded,
    room.id IS NOT NULL AS known_node, room.name, room.state, room.blocked,
    coalesce(asked.memory <= room.mib, false) AS fits
FROM (SELECT) AS always LEFT JOIN asked ON true LEFT JOIN room ON true)";

Result<void> moved(const Row& row, VmId vm, NodeId to) {
    if (row.integer("moved") == 1) return {};
    if (!row.flag("known_vm")) return answers::missing("vm", vm.value());
    if (!row.flag("stranded")) return answers::not_stranded(vm);
    if (!row.flag("known_node")) return answers::missing("node", to.value());
    const std::string name = row.text("name");
    const bool blocked = row.flag("blocked");
    if (row.text("state") != "running" || blocked)
        return answers::node_unavailable(name, blocked ? "blocked" : row.text("state"));
    if (!row.flag("fits")) return answers::node_full(name);
    // Everything fitted when we looked, and then another was faster.
    return answers::not_stranded(vm);
}

Result<std::vector<VmId>> vms_in(const Rows& rows) {
    std::vector<VmId> vms;
    vms.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i) vms.push_back(rows[i].id<VmId>("vm_id"));
    QVD_CHECK(rows.check());
    return vms;
}

Result<void> given_up(const Rows& rows, VmId vm) {
    const bool done = rows[0].flag("done");
    const bool known = rows[0].flag("known");
    QVD_CHECK(rows.check());
    if (done) return {};
    if (!known) return answers::missing("vm", vm.value());
    return answers::not_stranded(vm);
}

}  // namespace

Async<std::vector<VmId>> PostgresStore::stranded_starts() {
    QVD_CO_TRY(const Rows rows, co_await ask(find_stranded, node_silence.count()));
    co_return vms_in(rows);
}

Async<void> PostgresStore::move_start(VmId vm, NodeId from, NodeId to) {
    std::vector<Statement> batch;
    batch.emplace_back(lock_node, to);
    batch.emplace_back(move_stranded, vm, from, to, node_silence.count());
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    const Result<void> done = moved(rows[1][0], vm, to);
    QVD_CO_CHECK(rows[1].check());
    co_return done;
}

Async<void> PostgresStore::give_up_start(VmId vm, NodeId from, std::string reason) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT give_up_start($1, $2, $3) AS done, EXISTS (SELECT FROM vms "
                            "WHERE id = $1) AS known",
                            vm, from, reason));
    co_return given_up(rows, vm);
}

Async<std::vector<VmId>> PostgresStore::stranded_orders() {
    QVD_CO_TRY(const Rows rows, co_await ask(find_unanswered, node_silence.count()));
    co_return vms_in(rows);
}

Async<void> PostgresStore::give_up_order(VmId vm, NodeId from, std::string reason) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT give_up_order($1, $2, $3) AS done, EXISTS (SELECT FROM vms "
                            "WHERE id = $1) AS known",
                            vm, from, reason));
    co_return given_up(rows, vm);
}

}  // namespace qvd::store::postgres
