/* It says that all is well and chooses nothing. */
#include <qvd/load_balancer.h>

static inline qvd_status idle_choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    (void)placement;
    (void)call;
    return QVD_OK;
}
#define BAD_CHOOSE idle_choose
#include "balancer.h"
