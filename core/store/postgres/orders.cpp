// Orders to start and stop on PostgreSQL, and a node that takes them.
#include "store/answers.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

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
    UPDATE vm_runtimes AS r
    SET command = 'start', node_id = room.id, retry_at = NULL, from_checkpoint = $4::boolean
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
    const std::string name = row.text("name");
    const bool blocked = row.flag("blocked");
    if (row.text("state") != "running" || blocked)
        return answers::node_unavailable(name, blocked ? "blocked" : row.text("state"));
    if (!row.flag("fits")) return answers::node_full(name);
    // Everything fitted when we looked, and then another was faster.
    return not_stopped(vm);
}

constexpr const char* withdraw = R"(
WITH withdrawn AS (
    UPDATE vm_runtimes SET command = NULL, node_id = NULL, retry_at = NULL, from_checkpoint = false
    WHERE vm_id = $1 AND state IN ('stopped', 'failed') AND (command = 'start' OR retry_at IS NOT NULL)
    RETURNING vm_id
), released AS (
    DELETE FROM reservations USING withdrawn WHERE reservations.vm_id = withdrawn.vm_id
)
SELECT vm_id FROM withdrawn)";

constexpr const char* order_to_stop = R"(
UPDATE vm_runtimes SET command = 'stop'
WHERE vm_id = $1 AND state IN ('starting', 'running', 'debug', 'paused', 'suspended'))";

constexpr const char* call_restart_off =
    "UPDATE vm_runtimes SET restarts = false WHERE vm_id = $1 AND restarts";

// Of a VM v: the image that its tag means, and its checkpoint on the node $2.
constexpr const char* take_start_order = R"(
WITH taken AS (
    UPDATE vm_runtimes AS r
    SET command = NULL, state = 'starting', phase = 1, reason = '', reason_code = '', retry_at = NULL,
        since = now(), incarnation = r.incarnation + 1,
        agent_token = CASE WHEN r.from_checkpoint THEN x.agent_token ELSE $3 END
    FROM vms AS v LEFT JOIN di_tags AS t ON t.osf_id = v.osf_id AND t.tag = v.di_tag
    LEFT JOIN checkpoints AS x ON x.vm_id = v.id AND x.node_id = $2::bigint AND x.di_id IS NOT NULL
    WHERE v.id = r.vm_id AND r.vm_id = $1::bigint AND r.node_id = $2::bigint
      AND r.command = 'start' AND r.state IN ('stopped', 'failed')
      AND CASE WHEN r.from_checkpoint THEN x.vm_id ELSE t.di_id END IS NOT NULL
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

// Without an image, or without its checkpoint, the order fails at once: does nothing after a
// successful take_start_order.
constexpr const char* fail_start_order = R"(
WITH failed AS (
    UPDATE vm_runtimes AS r
    SET command = NULL, node_id = NULL, state = 'failed', since = now(), retry_at = NULL,
        from_checkpoint = false,
        reason_code = CASE WHEN r.from_checkpoint THEN 'vm.no_checkpoint' ELSE 'di.not_tagged' END,
        reason = CASE WHEN r.from_checkpoint THEN 'its checkpoint is gone'
                      ELSE 'no image of its osf has the tag "' || v.di_tag || '"' END
    FROM vms AS v
    WHERE v.id = r.vm_id AND r.vm_id = $1::bigint AND r.node_id = $2::bigint
      AND r.command = 'start' AND r.state IN ('stopped', 'failed')
    RETURNING r.vm_id, r.reason, r.reason_code
), released AS (
    DELETE FROM reservations USING failed WHERE reservations.vm_id = failed.vm_id
)
SELECT reason, reason_code FROM failed)";

constexpr const char* retake_start_order = R"(
UPDATE vm_runtimes AS r
SET incarnation = r.incarnation + 1,
    agent_token = CASE WHEN r.from_checkpoint THEN x.agent_token ELSE $4 END
FROM vms AS v LEFT JOIN di_tags AS t ON t.osf_id = v.osf_id AND t.tag = v.di_tag
LEFT JOIN checkpoints AS x ON x.vm_id = v.id AND x.node_id = $2::bigint AND x.di_id IS NOT NULL
WHERE v.id = r.vm_id AND r.vm_id = $1::bigint AND r.node_id = $2::bigint
  AND r.incarnation = $3::bigint AND r.state = 'starting' AND r.phase = 1
  AND CASE WHEN r.from_checkpoint THEN x.vm_id ELSE t.di_id END IS NOT NULL)";

constexpr const char* token_of = "SELECT agent_token FROM vm_runtimes WHERE vm_id = $1";

Result<StartOrder> back_to_checkpoint(StartOrder order) {
    const std::optional<Checkpoint>& checkpoint = order.record.checkpoint;
    if (!checkpoint || !checkpoint->di) return answers::no_checkpoint(order.record.vm.id);
    order.di = *checkpoint->di;
    order.checkpoint = checkpoint->path;
    return order;
}

// The answers to QVD_SELECT_VM, merged_properties and token_of, of a start just taken.
Result<StartOrder> order_of(const Rows& vm, const Rows& properties, const Rows& token) {
    StartOrder order;
    order.record = vm_record(vm[0]);
    QVD_CHECK(vm.check());
    order.agent_token = Secret(token[0].text("agent_token"));
    order.properties = merged(properties);
    if (order.record.runtime.from_checkpoint) return back_to_checkpoint(std::move(order));
    // Only one who took the tag away since could be the reason; the image is still there then.
    if (!order.record.di)
        return Error{
            ErrorKind::unavailable, "store.again",
            "the tag of vm " + order.record.vm.id.text() + " was moved at the same moment"};
    order.di = *order.record.di;
    return order;
}

}  // namespace

Async<void> PostgresStore::order_start(VmId vm, NodeId node) {
    return admit_start(vm, node, Admission::fresh);
}

Async<void> PostgresStore::order_restore(VmId vm) {
    QVD_CO_TRY(const auto record, co_await this->vm(vm));
    if (!record) co_return answers::missing("vm", vm.value());
    if (!record->checkpoint) co_return answers::no_checkpoint(vm);
    if (!record->checkpoint->di) co_return answers::no_checkpoint_image(vm);
    co_return co_await admit_start(vm, record->checkpoint->node, Admission::restore);
}

Async<void> PostgresStore::retry_start(VmId vm, NodeId node) {
    return admit_start(vm, node, Admission::retry);
}

Async<void> PostgresStore::admit_start(VmId vm, NodeId node, Admission how) {
    const bool retry = how == Admission::retry;
    std::vector<Statement> batch;
    batch.emplace_back(lock_node, node);
    batch.emplace_back(admit, vm, node, retry, how == Admission::restore);
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
    batch.emplace_back(call_restart_off, vm);
    batch.emplace_back("SELECT state, phase FROM vm_runtimes WHERE vm_id = $1", vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (!rows[0].empty() || rows[1].changed() > 0 || rows[2].changed() > 0)
        co_return Result<void>{};
    if (rows[3].empty()) co_return answers::missing("vm", vm.value());
    const VmState state = rows[3][0].parsed("state", &parse_vm_state);
    co_return answers::conflict(
        "vm.not_running", "vm " + vm.text() + " is " + to_string(state, rows[3][0].small("phase")));
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
    batch.emplace_back(token_of, vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[2].empty()) co_return answers::missing("vm", vm.value());
    if (!rows[1].empty())
        co_return Error{ErrorKind::not_found, rows[1][0].text("reason_code"),
                        "vm " + vm.text() + ": " + rows[1][0].text("reason")};
    if (rows[0].changed() == 0) co_return answers::no_command(vm);
    co_return order_of(rows[2], rows[3], rows[4]);
}

Async<StartOrder> PostgresStore::retake_start(VmId vm, NodeId node, std::int64_t incarnation) {
    const Secret token = random_token(32);
    std::vector<Statement> batch;
    batch.emplace_back(retake_start_order, vm, node, incarnation, token);
    batch.emplace_back(QVD_SELECT_VM("WHERE v.id = $1"), vm);
    batch.emplace_back(merged_properties, vm);
    batch.emplace_back(token_of, vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].changed() == 1) co_return order_of(rows[1], rows[2], rows[3]);
    if (rows[1].empty()) co_return answers::missing("vm", vm.value());
    const VmRecord record = vm_record(rows[1][0]);
    QVD_CO_CHECK(rows[1].check());
    if (record.runtime.from_checkpoint && (!record.checkpoint || !record.checkpoint->di))
        co_return answers::no_checkpoint(vm);
    if (!record.runtime.from_checkpoint && !record.di)
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
    QVD_CO_TRY(
        const Rows rows,
        co_await ask("UPDATE vm_runtimes SET command = NULL, order_taken = 'stop' WHERE vm_id = "
                     "$1 AND node_id = $2 AND command = 'stop'",
                     vm, node));
    if (rows.changed() == 1) co_return Result<void>{};
    QVD_CO_TRY(const Rows known, co_await ask("SELECT FROM vms WHERE id = $1", vm));
    if (known.empty()) co_return answers::missing("vm", vm.value());
    co_return answers::no_command(vm);
}

}  // namespace qvd::store::postgres
