/* The same balancer as roomy.cpp, in C. */
#include <qvd/load_balancer.h>

#include <stdio.h>

static _Thread_local int calls_of_this_thread;
static int instance; /* one is enough: it holds nothing */

static qvd_status create(const qvd_core* core, qvd_call* call, void** self) {
    qvd_str greeting;
    const qvd_status status = core->config(core, "greeting", &greeting);
    if (status != QVD_OK) return qvd_call_fail(call, status, "no greeting");
    core->log(core, QVD_LOG_INFO, greeting);
    *self = &instance;
    return QVD_OK;
}

static void destroy(void* self) {
    (void)self;
}

static const qvd_property* find(const qvd_array* properties, const char* key) {
    for (size_t i = 0; i < properties->count; ++i) {
        const qvd_property* property = (const qvd_property*)qvd_array_at(properties, i);
        if (strcmp(property->key.data, key) == 0) return property;
    }
    return NULL;
}

static qvd_status choose(void* self, const qvd_placement* placement, qvd_call* call) {
    (void)self;
    char text[80];
    snprintf(text, sizeof text, "%d", ++calls_of_this_thread);
    call->put(call, qvd_text("calls"), qvd_text(text));
    const qvd_property* wish = find(&placement->vm_properties, "fail");
    if (wish) {
        snprintf(text, sizeof text, "as you wish: %s", wish->value.data);
        return qvd_call_fail(call, QVD_UNAVAILABLE, text);
    }
    size_t best = 0;
    for (size_t i = 1; i < placement->nodes.count; ++i)
        if (qvd_node_at(placement, i)->free_memory_mib >
            qvd_node_at(placement, best)->free_memory_mib)
            best = i;
    return qvd_call_choose(call, best);
}

static const qvd_load_balancer balancer = {
    .size = sizeof balancer,
    .threading = QVD_SERIAL,
    .create = create,
    .destroy = destroy,
    .choose = choose,
};
static const qvd_interface interfaces[] = {{QVD_LOAD_BALANCER, &balancer}};
static const qvd_config_key keys[] = {{
    .size = sizeof(qvd_config_key),
    .type = QVD_TEXT,
    .name = "greeting",
    .default_value = "hello",
    .meaning = "What to log first.",
}};
static const qvd_plugin plugin = {
    .size = sizeof plugin,
    .abi_major = QVD_ABI_MAJOR,
    .abi_minor = QVD_ABI_MINOR,
    .draft = QVD_ABI_DRAFT,
    .name = "roomy",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .summary = "Starts each VM where most memory is free.",
    .interfaces = QVD_ARRAY(interfaces),
    .keys = QVD_ARRAY(keys),
};

const qvd_plugin* qvd_plugin_v1(void) {
    return &plugin;
}
