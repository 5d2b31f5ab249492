/* A VmaHook plugin that does what the parameter custom.wish asks for, and writes every event that
 * it hears of into the file noticing.file, if that is set. */
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

/* By the header's own names, so that a number that means something else is seen. */
static const char* action_name(qvd_vma_action action) {
    switch (action) {
        case QVD_VMA_PRE_CONNECT:
            return "pre_connect";
        case QVD_VMA_CONNECT:
            return "connect";
        case QVD_VMA_SUSPEND:
            return "suspend";
        case QVD_VMA_STOP:
            return "stop";
        case QVD_VMA_POWEROFF:
            return "poweroff";
        case QVD_VMA_EXPIRE:
            return "expire";
        default:
            return "unknown";
    }
}

static const char* state_name(qvd_vma_state state) {
    switch (state) {
        case QVD_VMA_CONNECTED:
            return "connected";
        case QVD_VMA_SUSPENDED:
            return "suspended";
        case QVD_VMA_DISCONNECTED:
            return "disconnected";
        default:
            return "unknown";
    }
}

static const char* step_name(qvd_vma_provisioning step) {
    switch (step) {
        case QVD_VMA_MOUNT_HOME:
            return "mount_home";
        case QVD_VMA_ADD_USER:
            return "add_user";
        case QVD_VMA_AFTER_ADD_USER:
            return "after_add_user";
        default:
            return "unknown";
    }
}

static void note(const char* kind, const char* name, const qvd_session* session) {
    qvd_str path;
    if (core->config(core, "noticing.file", &path) != QVD_OK || path.length == 0) return;
    FILE* const file = fopen(path.data, "a");
    if (file == NULL) abort();
    fprintf(file, "%s %s (%s) vm=%llu user=%s\n", kind, name, session->event.data,
            (unsigned long long)session->vm_id, session->user_name.data);
    fclose(file);
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
    note("action", action_name(action), session);
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

static qvd_status on_state(void* self, qvd_vma_state state, const qvd_session* session,
                           qvd_call* call) {
    (void)self;
    (void)call;
    note("state", state_name(state), session);
    return QVD_OK;
}

static qvd_status on_provisioning(void* self, qvd_vma_provisioning step, const qvd_session* session,
                                  qvd_call* call) {
    (void)self;
    (void)call;
    note("provisioning", step_name(step), session);
    return step == QVD_VMA_MOUNT_HOME ? QVD_OK : QVD_DECLINED;
}

static const qvd_vma_hook hook = {.size = sizeof hook,
                                  .threading = QVD_SERIAL,
                                  .create = create,
                                  .destroy = destroy,
                                  .on_action = on_action,
                                  .on_state = on_state,
                                  .on_provisioning = on_provisioning};

static const qvd_interface interfaces[] = {{QVD_VMA_HOOK, &hook}};
static const qvd_config_key keys[] = {
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "noticing.greeting", "good day", "a greeting", NULL},
    {sizeof(qvd_config_key), 0, QVD_TEXT, 0, "noticing.file", "", "where events are noted", NULL},
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
