// VMs on PostgreSQL, as the administrator sees them.
#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"
#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

// Additions choose their addresses one after the other.
constexpr const char* lock_addresses = "SELECT pg_advisory_xact_lock(713002, 0)";

constexpr const char* insert_vm = R"(
INSERT INTO vms (name, user_id, osf_id, di_tag, address)
VALUES ($1, $2, $3, $4, $5::inet) RETURNING id)";

constexpr const char* insert_vm_anywhere = R"(
INSERT INTO vms (name, user_id, osf_id, di_tag, address)
SELECT $1, $2::bigint, $3::bigint, $4, $6::inet - n
FROM generate_series(0, $6::inet - $5::inet) AS n
WHERE NOT EXISTS (SELECT FROM vms WHERE address = $6::inet - n)
ORDER BY n LIMIT 1
RETURNING id)";

constexpr const char* update_vm = R"(
UPDATE vms SET name = coalesce($2, name), di_tag = coalesce($3, di_tag),
    address = coalesce($4::inet, vms.address), user_id = coalesce($5::bigint, user_id),
    osf_id = coalesce($6::bigint, osf_id)
FROM vm_runtimes AS r
WHERE id = $1 AND r.vm_id = id AND ($5::bigint IS NULL AND $6::bigint IS NULL
    OR r.state IN ('stopped', 'failed') AND r.command IS NULL))";

// As update_vm does, only of one that rests.
constexpr const char* forget_checkpoint = R"(
DELETE FROM checkpoints USING vm_runtimes AS r
WHERE checkpoints.vm_id = $1 AND r.vm_id = $1 AND r.state IN ('stopped', 'failed')
  AND r.command IS NULL)";

constexpr const char* update_expiry = R"(
UPDATE vm_runtimes AS r SET
    expires_soft = CASE WHEN r.current_di_id = t.di_id THEN NULL WHEN $2::boolean
        THEN to_timestamp($3::float8) ELSE r.expires_soft END,
    expires_hard = CASE WHEN r.current_di_id = t.di_id THEN NULL WHEN $4::boolean
        THEN to_timestamp($5::float8) ELSE r.expires_hard END
FROM vms AS v JOIN di_tags AS t ON t.osf_id = v.osf_id AND t.tag = v.di_tag
WHERE v.id = ANY($1::bigint[]) AND r.vm_id = v.id AND r.current_di_id IS NOT NULL
RETURNING r.vm_id AS id, r.current_di_id <> t.di_id AS outdated)";

std::optional<double> seconds_of(const std::optional<std::optional<Timestamp>>& limit) {
    if (!limit || !*limit) return std::nullopt;
    return std::chrono::duration<double>((*limit)->time_since_epoch()).count();
}

Error none_free(const NewVm& vm) {
    return {ErrorKind::unavailable, "address.none_free",
            "no address is free between " + vm.pool_first + " and " + vm.pool_last};
}

}  // namespace

Async<VmId> PostgresStore::add_vm(NewVm vm) {
    QVD_CO_CHECK(checks::name("vm.name", vm.name));
    QVD_CO_CHECK(checks::tag(vm.di_tag));
    std::vector<Statement> batch;
    if (vm.address.empty()) {
        QVD_CO_TRY(const std::uint32_t first, checks::address(vm.pool_first));
        QVD_CO_TRY(const std::uint32_t last, checks::address(vm.pool_last));
        if (first > last) co_return none_free(vm);
        batch.emplace_back(lock_addresses);
        batch.emplace_back(insert_vm_anywhere, vm.name, vm.user, vm.osf, vm.di_tag, vm.pool_first,
                           vm.pool_last);
    } else {
        QVD_CO_CHECK(checks::address(vm.address));
        batch.emplace_back(insert_vm, vm.name, vm.user, vm.osf, vm.di_tag, vm.address);
    }
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows.back().empty()) co_return none_free(vm);
    const auto id = rows.back()[0].id<VmId>("id");
    QVD_CO_CHECK(rows.back().check());
    co_return id;
}

Async<void> PostgresStore::delete_vm(VmId vm) {
    std::vector<Statement> batch;
    // Whoever orders its start meanwhile waits here, and finds it gone.
    batch.emplace_back("SELECT FROM vm_runtimes WHERE vm_id = $1 FOR UPDATE", vm);
    batch.emplace_back(
        "DELETE FROM vms USING vm_runtimes AS r WHERE id = $1 AND r.vm_id = id "
        "AND r.state IN ('stopped', 'failed') AND r.command IS NULL",
        vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].empty()) co_return answers::missing("vm", vm.value());
    if (rows[1].changed() == 0)
        co_return answers::conflict("vm.not_stopped", "vm " + vm.text() + " is not stopped");
    co_return Result<void>{};
}

Async<std::vector<VmRecord>> PostgresStore::vm_records(Statement statement) {
    QVD_CO_TRY(const Rows rows, co_await ask_one(pool_, std::move(statement)));
    std::vector<VmRecord> all;
    all.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i) all.push_back(vm_record(rows[i]));
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<std::vector<VmRecord>> PostgresStore::vms() {
    return vm_records(Statement(QVD_SELECT_VM("ORDER BY v.id")));
}

Async<std::vector<VmRecord>> PostgresStore::vms_of(UserId user) {
    return vm_records(Statement(QVD_SELECT_VM("WHERE v.user_id = $1 ORDER BY v.id"), user));
}

Async<std::vector<VmRecord>> PostgresStore::vms_on(NodeId node) {
    return vm_records(Statement(QVD_SELECT_VM("WHERE r.node_id = $1 ORDER BY v.id"), node));
}

Async<std::optional<VmRecord>> PostgresStore::vm(VmId vm) {
    Statement statement(QVD_SELECT_VM("WHERE v.id = $1"), vm);
    QVD_CO_TRY(std::vector<VmRecord> found, co_await vm_records(std::move(statement)));
    if (found.empty()) co_return std::optional<VmRecord>{};
    co_return std::optional(std::move(found.front()));
}

Async<void> PostgresStore::edit_vm(VmId vm, VmEdit edit) {
    if (edit.name) QVD_CO_CHECK(checks::name("vm.name", *edit.name));
    if (edit.di_tag) QVD_CO_CHECK(checks::tag(*edit.di_tag));
    if (edit.address) QVD_CO_CHECK(checks::address(*edit.address));
    std::vector<Statement> batch;
    // Whoever orders its start meanwhile waits here.
    batch.emplace_back("SELECT FROM vm_runtimes WHERE vm_id = $1 FOR UPDATE", vm);
    batch.emplace_back(update_vm, vm, edit.name, edit.di_tag, edit.address, edit.user, edit.osf);
    if (edit.user || edit.osf) batch.emplace_back(forget_checkpoint, vm);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[0].empty()) co_return answers::missing("vm", vm.value());
    if (rows[1].changed() == 0)
        co_return answers::conflict("vm.not_stopped", "vm " + vm.text() + " is not stopped");
    co_return Result<void>{};
}

Async<void> PostgresStore::set_vm_blocked(VmId vm, bool blocked) {
    co_return co_await change(
        "vm", vm.value(),
        "UPDATE vm_runtimes SET blocked = $2, attempt = CASE WHEN $2 THEN attempt "
        "ELSE 0 END WHERE vm_id = $1",
        vm, blocked);
}

Async<std::set<VmId>> PostgresStore::set_expiry(std::set<VmId> vms, Expiry expiry) {
    std::vector<std::string> ids;
    ids.reserve(vms.size());
    for (const VmId vm : vms) ids.push_back(vm.text());
    const std::string array = array_of(ids);
    QVD_CO_TRY(const Rows rows,
               co_await ask(update_expiry, array, expiry.soft.has_value(), seconds_of(expiry.soft),
                            expiry.hard.has_value(), seconds_of(expiry.hard)));
    std::set<VmId> limited;
    for (int i = 0; i < rows.size(); ++i)
        if (rows[i].flag("outdated")) limited.insert(rows[i].id<VmId>("id"));
    QVD_CO_CHECK(rows.check());
    co_return limited;
}

Async<void> PostgresStore::set_real_user(VmId vm, UserId user) {
    co_return co_await change(
        "vm", vm.value(), "UPDATE vm_runtimes SET real_user_id = $2 WHERE vm_id = $1", vm, user);
}

Async<void> PostgresStore::report_usage(NodeId node, std::vector<VmUsage> usage) {
    std::vector<std::string> vms;
    std::vector<std::string> incarnations;
    std::vector<std::string> seconds;
    std::vector<std::string> bytes;
    std::vector<std::string> pids;
    for (const VmUsage& one : usage) {
        vms.push_back(one.vm.text());
        incarnations.push_back(std::to_string(one.incarnation));
        seconds.push_back(text_of(one.cpu_seconds));
        bytes.push_back(std::to_string(one.memory_bytes));
        pids.push_back(std::to_string(one.pid));
    }
    if (vms.empty()) co_return Result<void>{};
    std::vector<Statement> batch;
    batch.emplace_back(R"(
INSERT INTO vm_usage (vm_id, incarnation, cpu_seconds, memory_bytes, pid)
SELECT r.vm_id, r.incarnation, u.seconds, u.bytes, u.pid
FROM unnest($2::bigint[], $3::bigint[], $4::float8[], $5::bigint[], $6::integer[])
    AS u (vm_id, incarnation, seconds, bytes, pid)
JOIN vm_runtimes AS r ON r.vm_id = u.vm_id AND r.incarnation = u.incarnation AND r.node_id = $1
ORDER BY r.vm_id
ON CONFLICT (vm_id) DO UPDATE SET incarnation = excluded.incarnation,
    cores = CASE WHEN vm_usage.incarnation = excluded.incarnation AND now() > vm_usage.at
        THEN greatest(0, excluded.cpu_seconds - vm_usage.cpu_seconds)
             / extract(epoch FROM now() - vm_usage.at)::float8 ELSE 0 END,
    cpu_seconds = excluded.cpu_seconds, memory_bytes = excluded.memory_bytes, pid = excluded.pid,
    at = now())",
                       node, array_of(vms), array_of(incarnations), array_of(seconds),
                       array_of(bytes), array_of(pids));
    QVD_CO_CHECK(co_await pool_->run(std::move(batch)));
    co_return Result<void>{};
}

Async<void> PostgresStore::agent_seen(VmId vm, std::int64_t incarnation) {
    QVD_CO_TRY(const Rows rows, co_await ask("UPDATE vm_runtimes SET agent_seen = now() WHERE "
                                             "vm_id = $1 AND incarnation = $2",
                                             vm, incarnation));
    if (rows.changed() == 0) co_return co_await explain(vm, incarnation);
    co_return Result<void>{};
}

}  // namespace qvd::store::postgres
