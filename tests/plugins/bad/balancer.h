/* A balancer that keeps every rule. Each bad plugin of this folder includes it after having defined
 * the one thing that it does wrong; BAD_NAME is the name that its file promises. */
#ifndef QVD_TESTS_BAD_BALANCER_H
#define QVD_TESTS_BAD_BALANCER_H

#include <qvd/load_balancer.h>

#ifndef BAD_CREATE
#define BAD_CREATE good_create
#endif
#ifndef BAD_DESTROY
#define BAD_DESTROY good_destroy
#endif
#ifndef BAD_CHOOSE
#define BAD_CHOOSE good_choose
#endif
#ifndef BAD_TABLE_SIZE
#define BAD_TABLE_SIZE sizeof(qvd_load_balancer)
#endif
#ifndef BAD_INTERFACES
#define BAD_INTERFACES \
    { QVD_LOAD_BALANCER, &balancer }
#endif
#ifndef BAD_KEY
#define BAD_KEY \
    { sizeof(qvd_config_key), 0, QVD_INTEGER, 0, "bad.count", "3", "A number.", "1..9" }
#endif
#ifndef BAD_SIZE
#define BAD_SIZE sizeof(qvd_plugin)
#endif
#ifndef BAD_MAJOR
#define BAD_MAJOR QVD_ABI_MAJOR
#endif
#ifndef BAD_DRAFT
#define BAD_DRAFT QVD_ABI_DRAFT
#endif
#ifndef BAD_PLUGIN_NAME
#define BAD_PLUGIN_NAME BAD_NAME
#endif
#ifndef BAD_STRIDE
#define BAD_STRIDE sizeof(qvd_interface)
#endif
#ifndef BAD_MANIFEST
#define BAD_MANIFEST &plugin
#endif
#ifndef BAD_ENTRY
#define BAD_ENTRY qvd_plugin_v1
#endif

static char nothing;

static inline qvd_status good_create(const qvd_core* core, qvd_call* call, void** self) {
    (void)core;
    (void)call;
    *self = &nothing;
    return QVD_OK;
}

static inline void good_destroy(void* self) {
    (void)self;
}

static inline qvd_status good_choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    (void)placement;
    return qvd_call_choose(call, 0);
}

/* The mistake, if it is a function. */
#ifdef BAD_FUNCTION
BAD_FUNCTION
#endif

static const qvd_load_balancer balancer = {BAD_TABLE_SIZE, QVD_SERIAL, BAD_CREATE, BAD_DESTROY,
                                           NULL,           NULL,       BAD_CHOOSE};
static const qvd_interface interfaces[] = {BAD_INTERFACES};
static const qvd_config_key keys[] = {BAD_KEY};
static const qvd_plugin plugin = {
    BAD_SIZE,
    BAD_MAJOR,
    QVD_ABI_MINOR,
    BAD_DRAFT,
    0,
    0,
    BAD_PLUGIN_NAME,
    "1.0.0",
    "Does one thing wrong.",
    "Apache-2.0",
    {interfaces, sizeof interfaces / sizeof interfaces[0], BAD_STRIDE},
    QVD_ARRAY(keys)};

#ifdef __cplusplus
extern "C"
#endif
    QVD_EXPORT const qvd_plugin*
    BAD_ENTRY(void);

const qvd_plugin* BAD_ENTRY(void) {
    (void)plugin;
    return BAD_MANIFEST;
}

#endif
