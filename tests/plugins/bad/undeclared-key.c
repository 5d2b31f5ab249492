/* It reads a key that its manifest does not declare. */
#include <qvd/load_balancer.h>

static char reading;

static inline qvd_status reading_create(const qvd_core* core, qvd_call* call, void** self) {
    qvd_str value;
    (void)call;
    *self = &reading;
    (void)core->config(core, "bad.secret", &value);
    return QVD_OK;
}
#define BAD_CREATE reading_create
#include "balancer.h"
