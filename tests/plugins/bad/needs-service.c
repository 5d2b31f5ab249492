/* It takes for granted that every core has an inventory. */
#include <qvd/load_balancer.h>

static char needing;

static inline qvd_status needing_create(const qvd_core* core, qvd_call* call, void** self) {
    const qvd_inventory_service* inventory =
        (const qvd_inventory_service*)core->service(core, QVD_CORE_INVENTORY);
    (void)call;
    *self = &needing;
    inventory->give_back(core, inventory->take(core));
    return QVD_OK;
}
#define BAD_CREATE needing_create
#include "balancer.h"
