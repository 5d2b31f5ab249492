// Rows that several subjects read: VMs with all that hangs on them, sessions.
#pragma once

#include "store/postgres/rows.hpp"
#include "store/store.hpp"

namespace qvd::store::postgres {

// Selects what vm_record() reads; the macro's argument is the rest, from WHERE on. Tables: v (vms),
// r (vm_runtimes), u (users), o (osfs), n (nodes), s (sessions), d and c (dis), x (checkpoints).
#define QVD_SELECT_VM(rest)                                                                      \
    "SELECT v.id, v.uuid, v.name, v.user_id, v.osf_id, v.di_tag, host(v.address) AS address, "   \
    "r.state, r.phase, r.reason, r.since, r.blocked, r.command, r.node_id, r.current_di_id, "    \
    "r.hypervisor, r.reason_code, r.retry_at, r.saved_path, r.restarts, r.from_checkpoint, "     \
    "r.last_node_id, r.real_user_id, r.incarnation, r.attempt, host(r.address) AS run_address, " \
    "r.agent_seen, "                                                                             \
    "r.expires_soft, r.expires_hard, u.login, o.name AS osf_name, o.memory, o.use_overlay, "     \
    "o.user_storage, n.name AS node_name, ru.login AS real_login, k.run_attempts, k.run_ok, "    \
    "g.cpu_seconds, g.cores, g.memory_bytes, g.pid, s.id AS s_id, s.vm_id AS s_vm_id, "          \
    "s.user_id AS s_user_id, "                                                                   \
    "host(s.client_address) AS s_client, s.node_id AS s_node_id, s.worker AS s_worker, "         \
    "s.state AS s_state, s.abort_requested AS s_abort, s.since AS s_since, "                     \
    "sn.name AS s_node_name, d.id AS d_id, d.uuid AS d_uuid, d.path AS d_path, "                 \
    "d.version AS d_version, c.id AS c_id, c.uuid AS c_uuid, c.path AS c_path, "                 \
    "c.version AS c_version, x.path AS x_path, x.at AS x_at, x.node_id AS x_node_id, "           \
    "xn.name AS x_node_name, x.hypervisor AS x_hypervisor, xd.id AS xd_id, xd.uuid AS xd_uuid, " \
    "xd.path AS xd_path, xd.version AS xd_version, xd.osf_id AS xd_osf_id "                      \
    "FROM vms AS v JOIN vm_runtimes AS r ON r.vm_id = v.id JOIN users AS u ON u.id = v.user_id " \
    "JOIN osfs AS o ON o.id = v.osf_id JOIN vm_counters AS k ON k.vm_id = v.id "                 \
    "LEFT JOIN vm_usage AS g ON g.vm_id = v.id AND g.incarnation = r.incarnation "               \
    "LEFT JOIN nodes AS n ON n.id = r.node_id LEFT JOIN users AS ru ON ru.id = r.real_user_id "  \
    "LEFT JOIN sessions AS s ON s.vm_id = v.id AND s.state <> 'disconnected' "                   \
    "LEFT JOIN nodes AS sn ON sn.id = s.node_id "                                                \
    "LEFT JOIN di_tags AS t ON t.osf_id = v.osf_id AND t.tag = v.di_tag "                        \
    "LEFT JOIN dis AS d ON d.id = t.di_id LEFT JOIN dis AS c ON c.id = r.current_di_id "         \
    "LEFT JOIN checkpoints AS x ON x.vm_id = v.id LEFT JOIN nodes AS xn ON xn.id = x.node_id "   \
    "LEFT JOIN dis AS xd ON xd.id = x.di_id " rest

VmRecord vm_record(const Row& row);

// The columns of a session as session_of() reads them, of the table s.
#define QVD_SESSION_COLUMNS                                                                \
    "s.id AS s_id, s.vm_id AS s_vm_id, s.user_id AS s_user_id, host(s.client_address) AS " \
    "s_client, s.node_id AS s_node_id, s.worker AS s_worker, s.state AS s_state, "         \
    "s.abort_requested AS s_abort, s.since AS s_since "

Session session_of(const Row& row);

// Of the node $1: admissions to it come one after the other, so that each sees the others'
// reservations.
inline constexpr const char* lock_node =
    "SELECT pg_advisory_xact_lock(713003, ($1::bigint % 2147483647)::int)";

// Of the VM $1: osf < running di (or the one that would run) < user < vm, the winners last.
extern const char* const merged_properties;
Properties merged(const Rows& rows);

}  // namespace qvd::store::postgres
