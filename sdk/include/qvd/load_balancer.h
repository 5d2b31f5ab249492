/* qvd/load_balancer.h - choosing the node that a stopped VM starts on. */
#ifndef QVD_LOAD_BALANCER_H
#define QVD_LOAD_BALANCER_H

#include "services.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QVD_LOAD_BALANCER "qvd.draft.load-balancer/1"

/* What is to be placed, and where it may go. */
typedef struct qvd_placement {
  uint32_t size;
  uint32_t needed_cpus;      /* 0: no limit, as of containers */
  uint64_t vm_id;
  uint64_t user_id;
  uint64_t osf_id;
  uint64_t di_id;
  qvd_str vm_uuid;
  qvd_str vm_name;
  qvd_str user_name;
  qvd_str osf_name;
  qvd_str di_path;
  uint64_t last_node_id;     /* where it ran last; 0: nowhere yet, or that node is gone */
  double needed_memory_mib;
  qvd_array vm_properties;   /* each of qvd_property, only its own */
  qvd_array user_properties;
  qvd_array osf_properties;
  qvd_array di_properties;
  qvd_array nodes;           /* of qvd_node; never empty. Running, not blocked, with
                                the hypervisor and the memory that the VM needs */
} qvd_placement;

/* Kind QVD_KIND_CHOICE. */
typedef struct qvd_choice {
  uint32_t size;
  uint32_t reserved;
  uint64_t index; /* into placement->nodes */
} qvd_choice;

typedef struct qvd_load_balancer {
  QVD_INTERFACE_HEAD;

  /* Optional. Once after create(), when the core knows the farm, and before the
   * first choose(). A failure makes the node refuse this balancer. [worker] */
  qvd_status (*init)(void *self, const qvd_snapshot *snapshot, qvd_call *call);

  /* Hands back one qvd_choice (qvd_call_choose()) and returns QVD_OK, or returns
   * QVD_UNAVAILABLE if none of the nodes will do: then the client is told to try
   * later. For no choice, one out of range, or any other status, the core logs the
   * plugin's bug and uses its built-in weighted choice. [loop] */
  qvd_status (*choose)(void *self, const qvd_placement *placement, qvd_call *call);
} qvd_load_balancer;

/* For `return qvd_call_choose(call, index);` */
static inline qvd_status qvd_call_choose(qvd_call *call, size_t index) {
  qvd_choice choice;
  choice.size = sizeof choice;
  choice.reserved = 0;
  choice.index = index;
  call->result(call, QVD_KIND_CHOICE, &choice);
  return QVD_OK;
}

static inline const qvd_node *qvd_node_at(const qvd_placement *placement, size_t index) {
  return (const qvd_node *)qvd_array_at(&placement->nodes, index);
}

#ifdef __cplusplus
}
#endif
#endif
