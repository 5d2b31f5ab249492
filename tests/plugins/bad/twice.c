/* One interface, offered twice. */
#define BAD_INTERFACES                \
    {QVD_LOAD_BALANCER, &balancer}, { \
        QVD_LOAD_BALANCER, &balancer  \
    }
#include "balancer.h"
