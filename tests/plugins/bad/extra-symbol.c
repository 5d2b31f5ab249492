/* Built without the version script, it exports a helper of its own. */
#include "balancer.h"

QVD_EXPORT int my_helper(void);

int my_helper(void) {
    return 1;
}
