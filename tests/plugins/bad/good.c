/* The one that does nothing wrong: what the others are beside their mistake. */
#include "balancer.h"
