/* A VmaHook plugin that does what the parameter custom.wish asks for. */
#include <qvd/services.h>
#include <qvd/vma_hook.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const qvd_core* core;

static qvd_str parameter(const qvd_session* session, const char* name) {
    for (size_t i = 0; i < session->parameters.count; ++i) {
        const qvd_property* property = qvd_array_at(&session->parameters, i);
        if (strcmp(property->key.data, name) == 0) return property->value;
    }
    return qvd_text("");
}

static void finish_later(void* call) {
    ((qvd_call*)call)->put(call, qvd_text("noticed"), qvd_text("later"));
    ((qvd_call*)call)->complete(call, QVD_OK);
}

static qvd_status create(const qvd_core* given, qvd_call* call, void** self) {
    (void)call;
    core = given;
    *self = NULL;
    qvd_str greeting;
    if (core->config(core, "noticing.greeting", &greeting) == QVD_OK &&
        strcmp(greeting.data, "slow") == 0)
        sleep(2);
    return QVD_OK;
}

static void destroy(void* self) {
    (void)self;
}

static qvd_status on_action(void* self, qvd_vma_action action, const qvd_session* session,
                            qvd_call* call) {
    (void)self;
    if (action != QVD_VMA_PRE_CONNECT) return QVD_DECLINED;
    const qvd_str wish = parameter(session, "custom.wish");
    if (strcmp(wish.data, "refuse") == 0) return qvd_call_fail(call, QVD_DENIED, "not today");
    if (strcmp(wish.data, "crash") == 0) abort();
    if (strcmp(wish.data, "hang") == 0) pause();
    if (strcmp(wish.data, "later") == 0) {
        const qvd_timers_service* timers = core->service(core, QVD_CORE_TIMERS);
        uint64_t timer = 0;
        return timers->after(core, 20, finish_later, call, &timer) == QVD_OK ? QVD_PENDING
                                                                             : QVD_INTERNAL;
    }
    qvd_str greeting;
    if (core->config(core, "noticing.greeting", &greeting) != QVD_OK) return QVD_INTERNAL;
    char text[512];
    snprintf(text, sizeof text, "%s by %s at %s: %s, greeting %s", session->event.data,
             session->user_name.data, session->user_home.data, wish.data, greeting.data);
    call->put(call, qvd_text("noticed"), qvd_text(text));
    core->log(core, QVD_LOG_INFO, qvd_text(text));
    return QVD_OK;
}

static qvd_status on_provisioning(void* self, qvd_vma_provisioning step, const qvd_session* session,
                                  qvd_call* call) {
    (void)self;
    (void)session;
    (void)call;
    return step == QVD_VMA_MOUNT_HOME ? QVD_OK : QVD_DECLINED;
}

static const qvd_vma_hook hook = {.size = sizeof hook,
                                  .threading = QVD_SERIAL,
                                  .create = create,
                                  .destroy = destroy,
                                  .on_action = on_action,
                                  .on_provisioning = on_provisioning};

static const qvd_interface interfaces[] = {{QVD_VMA_HOOK, &hook}};
static const qvd_config_key keys[] = {
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "noticing.greeting", "good day", "a greeting", NULL},
    {sizeof(qvd_config_key), 0, QVD_INTEGER, 0, "noticing.count", "1", "a number", NULL}};

const qvd_plugin* qvd_plugin_v1(void) {
    static const qvd_plugin plugin = {.size = sizeof plugin,
                                      .abi_major = QVD_ABI_MAJOR,
                                      .abi_minor = QVD_ABI_MINOR,
                                      .draft = QVD_ABI_DRAFT,
                                      .name = "noticing",
                                      .version = "1",
                                      .summary = "Notices what happens, for tests.",
                                      .license = "Apache-2.0",
                                      .interfaces = QVD_ARRAY(interfaces),
                                      .keys = QVD_ARRAY(keys)};
    return &plugin;
}
