/* A shared object that looks like a plugin and does not survive its loading. */
#include <stdlib.h>

const void* qvd_plugin_v1(void);
const void* qvd_plugin_v1(void) {
    return 0;
}

__attribute__((constructor)) static void crash(void) {
    abort();
}
