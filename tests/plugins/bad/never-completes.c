/* It promises to complete its call, and does not. */
#include <qvd/load_balancer.h>

static inline qvd_status promising_choose(void* self, const qvd_placement* placement,
                                          qvd_call* call) {
    (void)self;
    (void)placement;
    (void)call;
    return QVD_PENDING;
}
#define BAD_CHOOSE promising_choose
#include "balancer.h"
