// It lets an exception out of create().
#include <qvd/load_balancer.h>

#include <stdexcept>

static inline qvd_status throwing_create(const qvd_core*, qvd_call*, void**) {
    throw std::runtime_error("no licence");
}
#define BAD_CREATE throwing_create
#include "balancer.h"
