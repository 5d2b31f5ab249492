/* It has no manifest to return. */
#define BAD_MANIFEST NULL
#include "balancer.h"
