/* It leaves a thread behind. */
#define _POSIX_C_SOURCE 200809L
#include <qvd/load_balancer.h>

#include <pthread.h>
#include <unistd.h>

static char started;

static inline void* wait_for_ever(void* nothing_given) {
    for (;;) pause();
    return nothing_given;
}

static inline qvd_status starting_create(const qvd_core* core, qvd_call* call, void** self) {
    pthread_t thread = 0;
    (void)core;
    (void)call;
    *self = &started;
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0) return QVD_UNAVAILABLE;
    pthread_detach(thread);
    return QVD_OK;
}
#define BAD_CREATE starting_create
#include "balancer.h"
