/* Its entry is called something else. */
#define BAD_ENTRY qvd_plugin_entry
#include "balancer.h"
