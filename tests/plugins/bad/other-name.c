/* Its file was renamed. */
#define BAD_PLUGIN_NAME "something-else"
#include "balancer.h"
