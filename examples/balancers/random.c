#include <qvd/load_balancer.h>

#include <stdlib.h>
#include <time.h>

static qvd_status create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    unsigned* seed = malloc(sizeof *seed);
    if (!seed) return qvd_call_fail(call, QVD_UNAVAILABLE, "out of memory");
    *seed = (unsigned)time(NULL);
    *self = seed;
    return QVD_OK;
}

static void destroy(void* self) {
    free(self);
}

static qvd_status choose(void* self, const qvd_placement* placement, qvd_call* call) {
    return qvd_call_choose(call, (size_t)rand_r(self) % placement->nodes.count);
}

/* QVD_SERIAL: choose() is never called twice at once, so the seed needs no lock. */
static const qvd_load_balancer balancer = {
    .size = sizeof balancer,
    .threading = QVD_SERIAL,
    .create = create,
    .destroy = destroy,
    .choose = choose,
};
static const qvd_interface interfaces[] = {{QVD_LOAD_BALANCER, &balancer}};
static const qvd_plugin plugin = {
    .size = sizeof plugin,
    .abi_major = QVD_ABI_MAJOR,
    .abi_minor = QVD_ABI_MINOR,
    .draft = QVD_ABI_DRAFT,
    .name = "my-random-c",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .summary = "Starts each VM on a node drawn at random.",
    .interfaces = QVD_ARRAY(interfaces),
};

const qvd_plugin* qvd_plugin_v1(void) {
    return &plugin;
}
