/* Its manifest ends before its interfaces. */
#define BAD_SIZE 48
#include "balancer.h"
