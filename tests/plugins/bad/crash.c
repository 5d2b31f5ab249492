/* It writes where there is no memory. */
#include <qvd/load_balancer.h>

static inline qvd_status crashing_create(const qvd_core* core, qvd_call* call, void** self) {
    int* volatile nowhere = NULL;
    (void)core;
    (void)call;
    (void)self;
    *nowhere = 1;
    return QVD_OK;
}
#define BAD_CREATE crashing_create
#include "balancer.h"
