/* It waits for what never comes. */
#define _POSIX_C_SOURCE 200809L
#include <qvd/load_balancer.h>

#include <unistd.h>

static inline qvd_status hanging_create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    (void)call;
    (void)self;
    for (;;) pause();
    return QVD_OK;
}
#define BAD_CREATE hanging_create
#include "balancer.h"
