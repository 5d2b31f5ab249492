/* Built for another generation of the ABI. */
#define BAD_MAJOR 2
#include "balancer.h"
