#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"

#include <algorithm>

namespace qvd::store::postgres {

namespace {

#define QVD_SELECT_NODE(rest)                                                                     \
    "SELECT n.id, n.uuid, n.name, host(n.address) AS address, r.state, r.blocked, r.reason, "     \
    "r.seen, extract(epoch FROM now() - r.seen) AS silent_seconds, r.lease_epoch, r.boot_id, "    \
    "r.memory_total, r.memory_free, r.cpus, r.cpu_idle, "                                         \
    "r.cpu_bogomips, c.http_requests, c.auth_attempts, c.auth_ok, c.nx_attempts, c.nx_ok, "       \
    "c.short_sessions, (SELECT count(*) FROM vm_runtimes WHERE node_id = n.id) AS vms, "          \
    "(SELECT coalesce(sum(mib), 0) FROM reservations WHERE node_id = n.id AND until > now()) AS " \
    "reserved "                                                                                   \
    "FROM nodes AS n JOIN node_runtimes AS r ON r.node_id = n.id "                                \
    "JOIN node_counters AS c ON c.node_id = n.id " rest

// $2: node_silence in seconds.
#define QVD_NODE_LIVES \
    "state <> 'stopped' AND seen > now() - make_interval(secs => $2::double precision)"

constexpr const char* select_properties =
    "SELECT owner_id, key, value FROM node_properties ORDER BY owner_id";

NodeRecord record_of(const Row& row) {
    NodeRecord record;
    record.node = {row.id<NodeId>("id"), row.text("uuid"), row.text("name"), row.text("address")};
    NodeRuntime& runtime = record.runtime;
    runtime.state = row.parsed("state", &parse_node_state);
    runtime.blocked = row.flag("blocked");
    runtime.reason = row.text("reason");
    runtime.seen = row.maybe_time("seen");
    runtime.lease_epoch = row.integer("lease_epoch");
    runtime.boot_id = row.text("boot_id");
    runtime.load = {row.real("memory_total"), row.real("memory_free"), row.small("cpus"),
                    row.real("cpu_idle"), row.real("cpu_bogomips")};
    record.counters = {row.integer("http_requests"), row.integer("auth_attempts"),
                       row.integer("auth_ok"),       row.integer("nx_attempts"),
                       row.integer("nx_ok"),         row.integer("short_sessions")};
    if (runtime.seen)
        record.silence = std::chrono::milliseconds(
            static_cast<std::int64_t>(std::max(0.0, row.real("silent_seconds")) * 1000));
    record.vms = row.small("vms");
    record.reserved_mib = row.real("reserved");
    return record;
}

const char* increment(NodeCounter counter) {
#define QVD_INCREMENT(column) \
    "UPDATE node_counters SET " column " = " column " + $2::integer WHERE node_id = $1"
    switch (counter) {
        case NodeCounter::http_requests:
            return QVD_INCREMENT("http_requests");
        case NodeCounter::auth_attempts:
            return QVD_INCREMENT("auth_attempts");
        case NodeCounter::auth_ok:
            return QVD_INCREMENT("auth_ok");
        case NodeCounter::nx_attempts:
            return QVD_INCREMENT("nx_attempts");
        case NodeCounter::nx_ok:
            return QVD_INCREMENT("nx_ok");
        case NodeCounter::short_sessions:
            return QVD_INCREMENT("short_sessions");
    }
    return QVD_INCREMENT("http_requests");
#undef QVD_INCREMENT
}

// The records, each with its properties, which came as a second answer.
Result<std::vector<NodeRecord>> records_of(const Rows& nodes, const Rows& properties) {
    std::map<std::int64_t, Properties> by_owner;
    for (int i = 0; i < properties.size(); ++i)
        by_owner[properties[i].integer("owner_id")].emplace(properties[i].text("key"),
                                                            properties[i].text("value"));
    std::vector<NodeRecord> all;
    for (int i = 0; i < nodes.size(); ++i) {
        all.push_back(record_of(nodes[i]));
        all.back().properties = std::move(by_owner[all.back().node.id.value()]);
    }
    QVD_CHECK(nodes.check());
    QVD_CHECK(properties.check());
    return all;
}

// A node's row that only its present hkd may change; epoch is the answer's only column.
Result<void> still_claimed(const std::vector<Rows>& rows, NodeId node) {
    if (rows[0].changed() == 1) return {};
    if (rows[1].empty()) return answers::missing("node", node.value());
    return answers::conflict("node.superseded",
                             "another hkd has claimed host " + rows[1][0].text("name") + " since");
}

constexpr const char* name_of = "SELECT name FROM nodes WHERE id = $1";

// Whoever asks for VMs meanwhile need not hear that hkd was replaced: it is away for moments. Only
// a report of its own makes the node look alive again, so one that cannot come up drops out.
constexpr const char* claim = R"(
UPDATE node_runtimes AS r
SET state = CASE WHEN was.up THEN 'running' ELSE 'starting' END, reason = '',
    seen = CASE WHEN was.up THEN r.seen ELSE now() END,
    boot_id = $2, lease_epoch = r.lease_epoch + 1
FROM (SELECT node_id, state = 'running' AND coalesce(boot_id = $2, false)
             AND coalesce(seen > now() - interval '45 seconds', false) AS up
      FROM node_runtimes WHERE node_id = $1 FOR UPDATE) AS was
WHERE r.node_id = was.node_id
RETURNING r.lease_epoch)";

}  // namespace

Async<NodeId> PostgresStore::add_node(std::string name, std::string address) {
    QVD_CO_CHECK(checks::name("node.name", name, 127));
    QVD_CO_CHECK(checks::address(address));
    QVD_CO_TRY(const Rows rows,
               co_await ask("INSERT INTO nodes (name, address) VALUES ($1, $2::inet) RETURNING id",
                            name, address));
    const auto id = rows[0].id<NodeId>("id");
    QVD_CO_CHECK(rows.check());
    co_return id;
}

Async<void> PostgresStore::delete_node(NodeId node) {
    std::vector<Statement> batch;
    batch.emplace_back("SELECT FROM vm_runtimes WHERE node_id = $1 LIMIT 1", node);
    batch.emplace_back(
        "SELECT FROM sessions WHERE node_id = $1 AND state <> 'disconnected' LIMIT 1", node);
    batch.emplace_back(
        "SELECT name, floor(extract(epoch FROM now() - seen))::bigint AS age "
        "FROM nodes JOIN node_runtimes ON node_id = id WHERE id = $1 AND " QVD_NODE_LIVES,
        node, node_silence.count());
    batch.emplace_back(
        "DELETE FROM nodes WHERE id = $1 "
        "AND NOT EXISTS (SELECT FROM sessions WHERE node_id = $1 AND state <> 'disconnected') "
        "AND NOT EXISTS (SELECT FROM node_runtimes WHERE node_id = $1 AND " QVD_NODE_LIVES ")",
        node, node_silence.count());
    batch.back().deleting = true;
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows[3].changed() == 1) co_return Result<void>{};
    if (!rows[0].empty()) co_return answers::violated("vm_runtimes_node_fkey", true);
    if (!rows[1].empty()) co_return answers::violated("sessions_node_fkey", true);
    if (!rows[2].empty())
        co_return answers::alive(rows[2][0].text("name"), rows[2][0].integer("age"));
    co_return answers::missing("node", node.value());
}

Async<std::vector<NodeRecord>> PostgresStore::nodes() {
    std::vector<Statement> batch;
    batch.emplace_back(QVD_SELECT_NODE("ORDER BY n.id"));
    batch.emplace_back(select_properties);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    co_return records_of(rows[0], rows[1]);
}

Async<std::optional<NodeRecord>> PostgresStore::node(std::string name) {
    std::vector<Statement> batch;
    batch.emplace_back(QVD_SELECT_NODE("WHERE n.name = $1"), name);
    batch.emplace_back(
        "SELECT owner_id, key, value FROM node_properties JOIN nodes ON id = owner_id "
        "WHERE name = $1",
        name);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    QVD_CO_TRY(std::vector<NodeRecord> found, records_of(rows[0], rows[1]));
    if (found.empty()) co_return std::optional<NodeRecord>{};
    co_return std::optional(std::move(found.front()));
}

Async<void> PostgresStore::set_node_blocked(NodeId node, bool blocked) {
    co_return co_await change("node", node.value(),
                              "UPDATE node_runtimes SET blocked = $2 WHERE node_id = $1", node,
                              blocked);
}

Async<std::int64_t> PostgresStore::claim_node(NodeId node, std::string boot_id) {
    QVD_CO_TRY(const Rows rows, co_await ask(claim, node, boot_id));
    if (rows.empty()) co_return answers::missing("node", node.value());
    const std::int64_t epoch = rows[0].integer("lease_epoch");
    QVD_CO_CHECK(rows.check());
    co_return epoch;
}

Async<void> PostgresStore::set_node_state(NodeId node, std::int64_t lease_epoch, NodeState state,
                                          std::string reason) {
    std::vector<Statement> batch;
    batch.emplace_back(
        "UPDATE node_runtimes SET state = $3, reason = $4 WHERE node_id = $1 AND lease_epoch = $2",
        node, lease_epoch, to_string(state), reason);
    batch.emplace_back(name_of, node);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    co_return still_claimed(rows, node);
}

Async<void> PostgresStore::heartbeat(NodeId node, std::int64_t lease_epoch, NodeLoad load) {
    std::vector<Statement> batch;
    batch.emplace_back(
        "UPDATE node_runtimes SET seen = now(), memory_total = $3, memory_free = $4, cpus = $5, "
        "cpu_idle = $6, cpu_bogomips = $7 WHERE node_id = $1 AND lease_epoch = $2",
        node, lease_epoch, load.memory_total_mib, load.memory_free_mib, load.cpus, load.cpu_idle,
        load.cpu_bogomips);
    batch.emplace_back(name_of, node);
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    co_return still_claimed(rows, node);
}

Async<void> PostgresStore::count(NodeId node, NodeCounter counter, int by) {
    co_return co_await change("node", node.value(), increment(counter), node, by);
}

}  // namespace qvd::store::postgres
