/* It fails and does not say why. */
#include <qvd/load_balancer.h>

static inline qvd_status silent_create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    (void)call;
    (void)self;
    return QVD_UNAVAILABLE;
}
#define BAD_CREATE silent_create
#include "balancer.h"
