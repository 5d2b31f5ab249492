// Draft 2 of qvd/load_balancer.h, as it is: every size, offset, type and value. A change of the
// header without a new draft number (QVD_ABI_DRAFT), and a new folder of these files, does not
// compile.
#include "tests/abi/layout.hpp"

#include <qvd/load_balancer.h>

ID(QVD_LOAD_BALANCER, "qvd.draft.load-balancer/1");

SIZE(qvd_placement, 256);
FIELD(qvd_placement, size, 0, uint32_t);
FIELD(qvd_placement, needed_cpus, 4, uint32_t);
FIELD(qvd_placement, vm_id, 8, uint64_t);
FIELD(qvd_placement, user_id, 16, uint64_t);
FIELD(qvd_placement, osf_id, 24, uint64_t);
FIELD(qvd_placement, di_id, 32, uint64_t);
FIELD(qvd_placement, vm_uuid, 40, qvd_str);
FIELD(qvd_placement, vm_name, 56, qvd_str);
FIELD(qvd_placement, user_name, 72, qvd_str);
FIELD(qvd_placement, osf_name, 88, qvd_str);
FIELD(qvd_placement, di_path, 104, qvd_str);
FIELD(qvd_placement, last_node_id, 120, uint64_t);
FIELD(qvd_placement, needed_memory_mib, 128, double);
FIELD(qvd_placement, vm_properties, 136, qvd_array);
FIELD(qvd_placement, user_properties, 160, qvd_array);
FIELD(qvd_placement, osf_properties, 184, qvd_array);
FIELD(qvd_placement, di_properties, 208, qvd_array);
FIELD(qvd_placement, nodes, 232, qvd_array);

SIZE(qvd_choice, 16);
FIELD(qvd_choice, size, 0, uint32_t);
FIELD(qvd_choice, reserved, 4, uint32_t);
FIELD(qvd_choice, index, 8, uint64_t);

SIZE(qvd_load_balancer, 48);
FIELD(qvd_load_balancer, size, 0, uint32_t);
FIELD(qvd_load_balancer, threading, 4, qvd_threading);
FIELD(qvd_load_balancer, create, 8, qvd_status (*)(const qvd_core*, qvd_call*, void**));
FIELD(qvd_load_balancer, destroy, 16, void (*)(void*));
FIELD(qvd_load_balancer, cancel, 24, void (*)(void*, uint64_t));
FIELD(qvd_load_balancer, init, 32, qvd_status (*)(void*, const qvd_snapshot*, qvd_call*));
FIELD(qvd_load_balancer, choose, 40, qvd_status (*)(void*, const qvd_placement*, qvd_call*));
