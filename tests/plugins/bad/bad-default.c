/* A key's default is outside of what the key allows. */
#define BAD_KEY \
    { sizeof(qvd_config_key), 0, QVD_INTEGER, 0, "bad.count", "12", "A number.", "1..9" }
#include "balancer.h"
