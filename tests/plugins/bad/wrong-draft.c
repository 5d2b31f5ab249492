/* Built with the headers of another draft. */
#define BAD_DRAFT (QVD_ABI_DRAFT + 1)
#include "balancer.h"
