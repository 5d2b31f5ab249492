/* A balancer whose file does harm as soon as it is loaded: which one is a definition. */
#include <qvd/load_balancer.h>

#include <stdlib.h>
#include <unistd.h>

static char nothing;

static qvd_status create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    (void)call;
    *self = &nothing;
    return QVD_OK;
}

static void destroy(void* self) {
    (void)self;
}

static qvd_status choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    (void)placement;
    return qvd_call_choose(call, 0);
}

static const qvd_load_balancer balancer = {sizeof balancer, QVD_SERIAL, create, destroy, NULL, NULL,
                                           choose};
static const qvd_interface interfaces[] = {{QVD_LOAD_BALANCER, &balancer}};
static const qvd_config_key keys[] = {
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "broken.mine", "1", "A key of its own.", NULL},
#ifdef BROKEN_clashing
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "path.run", "here", "Not what it is.", NULL},
#endif
};
static const qvd_plugin plugin = {
    sizeof plugin, QVD_ABI_MAJOR, QVD_ABI_MINOR,         QVD_ABI_DRAFT,  0, 0, BROKEN_NAME, "1.0.0",
    "Does harm.",  "Apache-2.0",  QVD_ARRAY(interfaces), QVD_ARRAY(keys)};

const qvd_plugin* qvd_plugin_v1(void) {
    return &plugin;
}

__attribute__((constructor)) static void harm(void) {
#ifdef BROKEN_crashing
    abort();
#endif
#ifdef BROKEN_exiting
    _exit(0);
#endif
#ifdef BROKEN_hanging
    for (;;) pause();
#endif
}
