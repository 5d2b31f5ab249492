/* Its interfaces lie closer together than they are long. */
#define BAD_STRIDE 8
#include "balancer.h"
