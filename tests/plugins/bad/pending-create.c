/* It would like to be made later. */
#include <qvd/load_balancer.h>

static inline qvd_status slow_create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    (void)call;
    (void)self;
    return QVD_PENDING;
}
#define BAD_CREATE slow_create
#include "balancer.h"
