/* It completes its call, and once more to be sure. */
#include <qvd/load_balancer.h>

static inline qvd_status sure_choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    (void)placement;
    (void)qvd_call_choose(call, 0);
    call->complete(call, QVD_OK);
    call->complete(call, QVD_OK);
    return QVD_PENDING;
}
#define BAD_CHOOSE sure_choose
#include "balancer.h"
