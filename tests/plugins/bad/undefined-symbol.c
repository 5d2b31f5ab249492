/* It calls what no library that it names has. */
#include <qvd/load_balancer.h>

int left_out_of_the_link(void);

static inline qvd_status lost_choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    (void)placement;
    return qvd_call_choose(call, (size_t)left_out_of_the_link());
}
#define BAD_CHOOSE lost_choose
#include "balancer.h"
