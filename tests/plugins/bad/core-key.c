/* It declares a key of the core's, with another meaning. */
#define BAD_KEY \
    { sizeof(qvd_config_key), 0, QVD_TEXT, 0, "l7r.port", "any", "Where my clients are.", NULL }
#include "balancer.h"
