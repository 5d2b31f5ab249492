-- What hkd and broker may do; run by every deployment, after the migrations. Nothing else is
-- granted to anybody: a column that is not named here is the owner's alone.

REVOKE ALL ON ALL TABLES IN SCHEMA qvd FROM PUBLIC, qvd_hkd, qvd_broker;
REVOKE ALL ON SCHEMA qvd FROM PUBLIC;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA qvd FROM PUBLIC;
GRANT USAGE ON SCHEMA qvd TO qvd_hkd, qvd_broker;

-- Both look at the farm.
GRANT SELECT ON versions, osfs, dis, di_tags, nodes, node_runtimes, node_counters, vms, vm_runtimes,
    vm_counters, vm_usage, endpoints, reservations, sessions, user_properties, vm_properties,
    osf_properties, di_properties, node_properties, configs TO qvd_hkd, qvd_broker;
GRANT SELECT (vm_id, path, at, node_id, di_id, hypervisor) ON checkpoints TO qvd_hkd, qvd_broker;
GRANT SELECT (id, login, created) ON users TO qvd_hkd, qvd_broker;
GRANT INSERT (who, operation, subject) ON audit TO qvd_hkd, qvd_broker;
GRANT INSERT, UPDATE, DELETE ON reservations TO qvd_hkd, qvd_broker;
GRANT UPDATE (state, since, abort_requested, ended, reason) ON sessions TO qvd_hkd, qvd_broker;

-- The broker lets users in: it verifies and upgrades password hashes, provisions users and VMs with
-- their properties, holds sessions, and orders; and it hands the workers the key of TLS, which
-- nobody else reads. What state a VM is in is not its to say.
GRANT SELECT ON ssl_configs TO qvd_broker;
GRANT SELECT (password), INSERT (login, password), UPDATE (password) ON users TO qvd_broker;
GRANT INSERT (name, user_id, osf_id, di_tag, address) ON vms TO qvd_broker;
GRANT UPDATE (command, node_id, retry_at, order_argument, order_number, real_user_id, agent_seen,
    restarts, from_checkpoint) ON vm_runtimes TO qvd_broker;
GRANT INSERT (owner_id, key, value), UPDATE (value), DELETE ON user_properties, vm_properties TO qvd_broker;
GRANT INSERT (vm_id, user_id, client_address, node_id, worker), DELETE ON sessions TO qvd_broker;
GRANT UPDATE ON node_counters TO qvd_broker;

-- One thing about a state only: that a start which a dead node never took has failed. And it answers
-- what a dead node never will.
GRANT EXECUTE ON FUNCTION give_up_start(bigint, bigint, text), give_up_order(bigint, bigint, text) TO qvd_broker;

-- It alone verifies operators, and changes nothing about them: a broker in wrong hands makes nobody one.
GRANT SELECT (id, name, password, role, blocked) ON operators TO qvd_broker;

-- hkd runs VMs: their state, and its node's. A host that is new registers itself.
GRANT UPDATE (state, phase, reason, since, blocked, command, node_id, last_node_id, current_di_id, hypervisor, incarnation,
    attempt, address, agent_token, agent_seen, expires_soft, expires_hard, reason_code, retry_at, saved_path, order_answered, order_code,
    order_answer, order_taken, restarts, from_checkpoint) ON vm_runtimes TO qvd_hkd;
GRANT SELECT (agent_token), INSERT, UPDATE ON checkpoints TO qvd_hkd;
GRANT UPDATE (run_attempts, run_ok) ON vm_counters TO qvd_hkd;
GRANT INSERT, UPDATE, DELETE ON vm_usage, endpoints TO qvd_hkd;
GRANT INSERT (name, address) ON nodes TO qvd_hkd;
GRANT UPDATE (state, reason, seen, lease_epoch, boot_id, memory_total, memory_free, cpus, cpu_idle,
    cpu_bogomips) ON node_runtimes TO qvd_hkd;
