/* A balancer that cannot choose. */
#define BAD_CHOOSE NULL
#include "balancer.h"
