/* It opens a file for each instance and closes none. */
#define _POSIX_C_SOURCE 200809L
#include <qvd/load_balancer.h>

#include <fcntl.h>

static char opened;

static inline qvd_status opening_create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    (void)call;
    *self = &opened;
    return open("/dev/null", O_RDONLY | O_CLOEXEC) < 0 ? QVD_UNAVAILABLE : QVD_OK;
}
#define BAD_CREATE opening_create
#include "balancer.h"
