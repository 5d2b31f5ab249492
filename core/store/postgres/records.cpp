#include "store/postgres/records.hpp"

namespace qvd::store::postgres {

namespace {

void read_runtime(const Row& row, VmRuntime& runtime) {
    runtime.state = row.parsed("state", &parse_vm_state);
    runtime.phase = row.small("phase");
    runtime.reason = row.text("reason");
    runtime.reason_code = row.text("reason_code");
    runtime.since = row.time("since");
    runtime.blocked = row.flag("blocked");
    if (!row.is_null("command")) runtime.command = row.parsed("command", &parse_vm_command);
    runtime.node = row.maybe_id<NodeId>("node_id");
    runtime.last_node = row.maybe_id<NodeId>("last_node_id");
    runtime.current_di = row.maybe_id<DiId>("current_di_id");
    if (!row.is_null("hypervisor")) runtime.hypervisor = row.text("hypervisor");
    runtime.real_user = row.maybe_id<UserId>("real_user_id");
    runtime.incarnation = row.integer("incarnation");
    runtime.attempt = row.small("attempt");
    runtime.retry_at = row.maybe_time("retry_at");
    runtime.saved_path = row.text("saved_path");
    runtime.restarts = row.flag("restarts");
    runtime.from_checkpoint = row.flag("from_checkpoint");
    runtime.address = row.text("run_address");
    runtime.agent_seen = row.maybe_time("agent_seen");
    runtime.expires_soft = row.maybe_time("expires_soft");
    runtime.expires_hard = row.maybe_time("expires_hard");
}

std::optional<Checkpoint> checkpoint_of(const Row& row) {
    if (row.is_null("x_path")) return std::nullopt;
    Checkpoint checkpoint;
    checkpoint.path = row.text("x_path");
    checkpoint.at = row.time("x_at");
    checkpoint.node = row.id<NodeId>("x_node_id");
    checkpoint.node_name = row.text("x_node_name");
    checkpoint.hypervisor = row.text("x_hypervisor");
    if (!row.is_null("xd_id"))
        checkpoint.di =
            Di{row.id<DiId>("xd_id"), row.text("xd_uuid"),    row.id<OsfId>("xd_osf_id"),
               row.text("xd_path"),   row.text("xd_version"), {}};
    return checkpoint;
}

}  // namespace

const char* const merged_properties = R"(
SELECT p.key, p.value, 1 AS rank FROM osf_properties AS p JOIN vms ON p.owner_id = osf_id
WHERE vms.id = $1
UNION ALL
SELECT p.key, p.value, 2 FROM di_properties AS p WHERE p.owner_id = (
    SELECT coalesce(r.current_di_id, t.di_id) FROM vms JOIN vm_runtimes AS r ON r.vm_id = vms.id
    LEFT JOIN di_tags AS t ON t.osf_id = vms.osf_id AND t.tag = vms.di_tag WHERE vms.id = $1)
UNION ALL
SELECT p.key, p.value, 3 FROM user_properties AS p JOIN vms ON p.owner_id = user_id
WHERE vms.id = $1
UNION ALL
SELECT key, value, 4 FROM vm_properties WHERE owner_id = $1
ORDER BY rank)";

Properties merged(const Rows& rows) {
    Properties all;
    for (int i = 0; i < rows.size(); ++i)
        all.insert_or_assign(rows[i].text("key"), rows[i].text("value"));
    return all;
}

VmRecord vm_record(const Row& row) {
    VmRecord record;
    record.vm = {row.id<VmId>("id"),        row.text("uuid"),        row.text("name"),
                 row.id<UserId>("user_id"), row.id<OsfId>("osf_id"), row.text("di_tag"),
                 row.text("address")};
    read_runtime(row, record.runtime);
    record.user = {record.vm.user, row.text("login")};
    record.osf = {record.vm.osf, row.text("osf_name"), row.integer("memory"),
                  row.flag("use_overlay"), row.integer("user_storage")};
    record.node_name = row.text("node_name");
    record.real_user_login = row.text("real_login");
    record.run_attempts = row.integer("run_attempts");
    record.run_ok = row.integer("run_ok");
    if (!row.is_null("cpu_seconds")) {
        record.cpu_seconds = row.real("cpu_seconds");
        record.cpu_cores = row.real("cores");
        record.memory_bytes = row.integer("memory_bytes");
        record.pid = row.small("pid");
    }
    if (!row.is_null("s_id")) {
        record.session = session_of(row);
        record.session_node_name = row.text("s_node_name");
    }
    if (!row.is_null("d_id"))
        record.di = Di{row.id<DiId>("d_id"), row.text("d_uuid"),    record.vm.osf,
                       row.text("d_path"),   row.text("d_version"), {}};
    if (!row.is_null("c_id"))
        record.current_di = Di{row.id<DiId>("c_id"), row.text("c_uuid"),    record.vm.osf,
                               row.text("c_path"),   row.text("c_version"), {}};
    record.checkpoint = checkpoint_of(row);
    return record;
}

Session session_of(const Row& row) {
    Session session;
    session.id = row.id<SessionId>("s_id");
    session.vm = row.id<VmId>("s_vm_id");
    session.user = row.id<UserId>("s_user_id");
    session.client_address = row.text("s_client");
    session.node = row.maybe_id<NodeId>("s_node_id").value_or(NodeId{});
    session.worker = row.text("s_worker");
    session.state = row.parsed("s_state", &parse_session_state);
    session.abort_requested = row.flag("s_abort");
    session.since = row.time("s_since");
    return session;
}

}  // namespace qvd::store::postgres
