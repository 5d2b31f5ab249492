/* It counts its nodes from one. */
#include <qvd/load_balancer.h>

static inline qvd_status last_choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    return qvd_call_choose(call, placement->nodes.count);
}
#define BAD_CHOOSE last_choose
#include "balancer.h"
