/* It goes through the nodes as if they lay sizeof(qvd_node) apart. */
#include <qvd/load_balancer.h>

static inline qvd_status pointer_choose(void* self, const qvd_placement* placement,
                                        qvd_call* call) {
    const qvd_node* nodes = (const qvd_node*)placement->nodes.first;
    size_t best = 0;
    (void)self;
    for (size_t i = 0; i < placement->nodes.count; ++i)
        if (nodes[i].id > nodes[best].id) best = i;
    /* With a node's id, which counts from 1 and is whatever lies there. */
    return qvd_call_choose(call, (size_t)nodes[best].id - 1);
}
#define BAD_CHOOSE pointer_choose
#include "balancer.h"
