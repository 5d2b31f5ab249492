// Draft 2 of qvd/services.h, as it is: every size, offset, type and value. A change of the header
// without a new draft number (QVD_ABI_DRAFT), and a new folder of these files, does not compile.
#include "tests/abi/layout.hpp"

#include <qvd/services.h>

ID(QVD_CORE_LOG, "qvd.draft.core.log/1");
ID(QVD_CORE_CONFIGURATION, "qvd.draft.core.configuration/1");
ID(QVD_CORE_TIMERS, "qvd.draft.core.timers/1");
ID(QVD_CORE_INVENTORY, "qvd.draft.core.inventory/1");
ID(QVD_CORE_PROVISIONING, "qvd.draft.core.provisioning/1");
ID(QVD_CORE_ACCOUNTS, "qvd.draft.core.accounts/1");
ID(QVD_CORE_PROPERTIES, "qvd.draft.core.properties/1");
ID(QVD_CORE_METRICS, "qvd.draft.core.metrics/1");
ID(QVD_CORE_PROCESSES, "qvd.draft.core.processes/1");

SIZE(qvd_sink, 32);
FIELD(qvd_sink, size, 0, uint32_t);
FIELD(qvd_sink, reserved, 4, uint32_t);
FIELD(qvd_sink, data, 8, void*);
FIELD(qvd_sink, record, 16, void (*)(void*, qvd_kind, const void*));
FIELD(qvd_sink, fail, 24, void (*)(void*, qvd_str));

SIZE(qvd_log_service, 24);
FIELD(qvd_log_service, size, 0, uint32_t);
FIELD(qvd_log_service, reserved, 4, uint32_t);
FIELD(qvd_log_service, enabled, 8, int32_t (*)(const qvd_core*, int32_t));
FIELD(qvd_log_service, write, 16,
      void (*)(const qvd_core*, const qvd_call*, int32_t, qvd_str, qvd_str));

SIZE(qvd_configuration_service, 32);
FIELD(qvd_configuration_service, size, 0, uint32_t);
FIELD(qvd_configuration_service, reserved, 4, uint32_t);
FIELD(qvd_configuration_service, get, 8, qvd_status (*)(const qvd_core*, qvd_str, qvd_str*));
FIELD(qvd_configuration_service, get_integer, 16,
      qvd_status (*)(const qvd_core*, qvd_str, int64_t*));
FIELD(qvd_configuration_service, get_number, 24, qvd_status (*)(const qvd_core*, qvd_str, double*));

SIZE(qvd_timers_service, 24);
FIELD(qvd_timers_service, size, 0, uint32_t);
FIELD(qvd_timers_service, reserved, 4, uint32_t);
FIELD(qvd_timers_service, after, 8,
      qvd_status (*)(const qvd_core*, int64_t, void (*)(void*), void*, uint64_t*));
FIELD(qvd_timers_service, cancel, 16, void (*)(const qvd_core*, uint64_t));
VALUE(QVD_NODE_BLOCKED, 1);
VALUE(QVD_NODE_RUNNING, 2);

SIZE(qvd_node, 136);
FIELD(qvd_node, size, 0, uint32_t);
FIELD(qvd_node, flags, 4, uint32_t);
FIELD(qvd_node, id, 8, uint64_t);
FIELD(qvd_node, uuid, 16, qvd_str);
FIELD(qvd_node, name, 32, qvd_str);
FIELD(qvd_node, address, 48, qvd_str);
FIELD(qvd_node, total_memory_mib, 64, double);
FIELD(qvd_node, free_memory_mib, 72, double);
FIELD(qvd_node, cpus, 80, uint32_t);
FIELD(qvd_node, vms, 84, uint32_t);
FIELD(qvd_node, idle_cpu, 88, double);
FIELD(qvd_node, cpu_mhz, 96, double);
FIELD(qvd_node, load_age_ms, 104, int64_t);
FIELD(qvd_node, properties, 112, qvd_array);
VALUE(QVD_VM_ENTRY_BLOCKED, 1);
VALUE(QVD_VM_ENTRY_USER_CONNECTED, 2);

SIZE(qvd_vm_entry, 168);
FIELD(qvd_vm_entry, size, 0, uint32_t);
FIELD(qvd_vm_entry, flags, 4, uint32_t);
FIELD(qvd_vm_entry, id, 8, uint64_t);
FIELD(qvd_vm_entry, uuid, 16, qvd_str);
FIELD(qvd_vm_entry, name, 32, qvd_str);
FIELD(qvd_vm_entry, user_id, 48, uint64_t);
FIELD(qvd_vm_entry, user_name, 56, qvd_str);
FIELD(qvd_vm_entry, osf_id, 72, uint64_t);
FIELD(qvd_vm_entry, osf_name, 80, qvd_str);
FIELD(qvd_vm_entry, di_id, 96, uint64_t);
FIELD(qvd_vm_entry, di_tag, 104, qvd_str);
FIELD(qvd_vm_entry, node_id, 120, uint64_t);
FIELD(qvd_vm_entry, state, 128, qvd_str);
FIELD(qvd_vm_entry, properties, 144, qvd_array);

SIZE(qvd_snapshot, 64);
FIELD(qvd_snapshot, size, 0, uint32_t);
FIELD(qvd_snapshot, reserved, 4, uint32_t);
FIELD(qvd_snapshot, taken_at_ms, 8, int64_t);
FIELD(qvd_snapshot, nodes, 16, qvd_array);
FIELD(qvd_snapshot, vms, 40, qvd_array);

SIZE(qvd_inventory_service, 24);
FIELD(qvd_inventory_service, size, 0, uint32_t);
FIELD(qvd_inventory_service, reserved, 4, uint32_t);
FIELD(qvd_inventory_service, take, 8, const qvd_snapshot* (*)(const qvd_core*));
FIELD(qvd_inventory_service, give_back, 16, void (*)(const qvd_core*, const qvd_snapshot*));
VALUE(QVD_USER_BLOCKED, 1);

SIZE(qvd_user, 56);
FIELD(qvd_user, size, 0, uint32_t);
FIELD(qvd_user, flags, 4, uint32_t);
FIELD(qvd_user, id, 8, uint64_t);
FIELD(qvd_user, login, 16, qvd_str);
FIELD(qvd_user, properties, 32, qvd_array);

SIZE(qvd_vm_order, 56);
FIELD(qvd_vm_order, size, 0, uint32_t);
FIELD(qvd_vm_order, reserved, 4, uint32_t);
FIELD(qvd_vm_order, user_id, 8, uint64_t);
FIELD(qvd_vm_order, osf_id, 16, uint64_t);
FIELD(qvd_vm_order, name, 24, qvd_str);
FIELD(qvd_vm_order, di_tag, 40, qvd_str);

SIZE(qvd_provisioning_service, 48);
FIELD(qvd_provisioning_service, size, 0, uint32_t);
FIELD(qvd_provisioning_service, reserved, 4, uint32_t);
FIELD(qvd_provisioning_service, find_user, 8,
      qvd_status (*)(const qvd_core*, const qvd_call*, qvd_str, const qvd_sink*));
FIELD(qvd_provisioning_service, ensure_user, 16,
      qvd_status (*)(const qvd_core*, const qvd_call*, qvd_str, const qvd_sink*));
FIELD(qvd_provisioning_service, find_vm, 24,
      qvd_status (*)(const qvd_core*, const qvd_call*, uint64_t, qvd_str, const qvd_sink*));
FIELD(qvd_provisioning_service, list_vms, 32,
      qvd_status (*)(const qvd_core*, const qvd_call*, uint64_t, uint64_t, const qvd_sink*));
FIELD(qvd_provisioning_service, create_vm, 40,
      qvd_status (*)(const qvd_core*, const qvd_call*, const qvd_vm_order*, const qvd_sink*));

SIZE(qvd_accounts_service, 16);
FIELD(qvd_accounts_service, size, 0, uint32_t);
FIELD(qvd_accounts_service, reserved, 4, uint32_t);
FIELD(qvd_accounts_service, verify_password, 8,
      qvd_status (*)(const qvd_core*, const qvd_call*, qvd_str, qvd_secret, const qvd_sink*));
ALIAS(qvd_scope, uint32_t);
VALUE(QVD_SCOPE_NODE, 0);
VALUE(QVD_SCOPE_USER, 1);
VALUE(QVD_SCOPE_VM, 2);
VALUE(QVD_SCOPE_OSF, 3);
VALUE(QVD_SCOPE_DI, 4);

SIZE(qvd_properties_service, 32);
FIELD(qvd_properties_service, size, 0, uint32_t);
FIELD(qvd_properties_service, reserved, 4, uint32_t);
FIELD(qvd_properties_service, get, 8,
      qvd_status (*)(const qvd_core*, const qvd_call*, qvd_scope, uint64_t, qvd_str,
                     const qvd_sink*));
FIELD(qvd_properties_service, list, 16,
      qvd_status (*)(const qvd_core*, const qvd_call*, qvd_scope, uint64_t, const qvd_sink*));
FIELD(qvd_properties_service, set, 24,
      qvd_status (*)(const qvd_core*, const qvd_call*, qvd_scope, uint64_t, qvd_str, qvd_str,
                     const qvd_sink*));
ALIAS(qvd_metric_type, uint32_t);
VALUE(QVD_COUNTER, 0);
VALUE(QVD_GAUGE, 1);

SIZE(qvd_metrics_service, 32);
FIELD(qvd_metrics_service, size, 0, uint32_t);
FIELD(qvd_metrics_service, reserved, 4, uint32_t);
FIELD(qvd_metrics_service, define, 8,
      qvd_status (*)(const qvd_core*, qvd_metric_type, qvd_str, qvd_str, uint32_t*));
FIELD(qvd_metrics_service, add, 16, void (*)(const qvd_core*, uint32_t, int64_t));
FIELD(qvd_metrics_service, set, 24, void (*)(const qvd_core*, uint32_t, int64_t));
ALIAS(qvd_process_state, uint32_t);
VALUE(QVD_PROCESS_RUNNING, 0);
VALUE(QVD_PROCESS_EXITED, 1);
VALUE(QVD_PROCESS_KILLED, 2);
VALUE(QVD_PROCESS_GONE, 3);

SIZE(qvd_process, 40);
FIELD(qvd_process, size, 0, uint32_t);
FIELD(qvd_process, state, 4, qvd_process_state);
FIELD(qvd_process, label, 8, qvd_str);
FIELD(qvd_process, pid, 24, int32_t);
FIELD(qvd_process, exit_code, 28, int32_t);
FIELD(qvd_process, start_time, 32, uint64_t);
VALUE(QVD_PROCESS_CLOSE_OUTPUT, 1);
VALUE(QVD_PROCESS_END_WITH_CORE, 2);

SIZE(qvd_process_order, 136);
FIELD(qvd_process_order, size, 0, uint32_t);
FIELD(qvd_process_order, flags, 4, uint32_t);
FIELD(qvd_process_order, label, 8, qvd_str);
FIELD(qvd_process_order, arguments, 24, qvd_array);
FIELD(qvd_process_order, environment, 48, qvd_array);
FIELD(qvd_process_order, directory, 72, qvd_str);
FIELD(qvd_process_order, input, 88, qvd_secret);
FIELD(qvd_process_order, output_path, 104, qvd_str);
FIELD(qvd_process_order, ended, 120, void (*)(void*, const qvd_process*));
FIELD(qvd_process_order, data, 128, void*);

SIZE(qvd_processes_service, 48);
FIELD(qvd_processes_service, size, 0, uint32_t);
FIELD(qvd_processes_service, reserved, 4, uint32_t);
FIELD(qvd_processes_service, start, 8,
      qvd_status (*)(const qvd_core*, const qvd_call*, const qvd_process_order*, const qvd_sink*));
FIELD(qvd_processes_service, list, 16,
      qvd_status (*)(const qvd_core*, const qvd_call*, const qvd_sink*));
FIELD(qvd_processes_service, adopt, 24,
      qvd_status (*)(const qvd_core*, const qvd_call*, const qvd_process*,
                     void (*)(void*, const qvd_process*), void*, const qvd_sink*));
FIELD(qvd_processes_service, signal, 32, qvd_status (*)(const qvd_core*, qvd_str, int32_t));
FIELD(qvd_processes_service, stop, 40, qvd_status (*)(const qvd_core*, qvd_str, int64_t));
