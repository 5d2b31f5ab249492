/* qvd/vma_hook.h - taking part in what happens in a VM's session.
 *
 * These plugins run inside the VM, as root, each in a process of its own that the
 * agent starts: one that crashes or hangs fails one event. They are called after
 * the executable hook of the same event (vma.on_action.connect and so on), in the
 * order of `vma.hook.plugins`. The agent offers the services log, configuration
 * and timers. */
#ifndef QVD_VMA_HOOK_H
#define QVD_VMA_HOOK_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QVD_VMA_HOOK "qvd.draft.vma-hook/2"

/* Values that the reader does not know are answered with QVD_DECLINED. */
typedef uint32_t qvd_vma_action;
enum {
  QVD_VMA_PRE_CONNECT = 0, /* a user connects; before provisioning         */
  QVD_VMA_CONNECT = 1,     /* a user connects; after provisioning          */
  QVD_VMA_SUSPEND = 2,     /* the session is about to be suspended, or its
                              client has gone; see on_action             */
  QVD_VMA_STOP = 3,        /* the session is to end                        */
  QVD_VMA_POWEROFF = 4,    /* the VM is to end                             */
  QVD_VMA_EXPIRE = 5       /* the soft expiry limit was reached            */
};

typedef uint32_t qvd_vma_state;
enum {
  QVD_VMA_CONNECTED = 0,
  QVD_VMA_SUSPENDED = 1,
  QVD_VMA_DISCONNECTED = 2 /* the session has ended                        */
};

typedef uint32_t qvd_vma_provisioning;
enum { QVD_VMA_MOUNT_HOME = 0, QVD_VMA_ADD_USER = 1, QVD_VMA_AFTER_ADD_USER = 2 };

typedef struct qvd_session {
  uint32_t size;
  uint32_t reserved;
  uint64_t vm_id;       /* 0: the node did not tell, or nobody has connected yet */
  qvd_str event;        /* what executable hooks are told in qvd.hook.on_action,
                           .on_state or .on_provisioning: "pre_connect", "connect",
                           "suspended", "add_user"; "stopped" for
                           QVD_VMA_DISCONNECTED                            */
  qvd_str user_name;    /* of this session, or of the last one; empty before the
                           first user has connected                        */
  qvd_str user_home;    /* until provisioning is done: where it should be  */
  qvd_array parameters; /* of qvd_property: what executable hooks get as arguments
                           and, of secrets, in their environment
                           ("qvd.vm.user.name", "qvd.hook.on_action", ...). States
                           and the actions suspend, stop and poweroff have the
                           event and "qvd.vm.session.state" only           */
} qvd_session;

typedef struct qvd_vma_hook {
  QVD_INTERFACE_HEAD;

  /* All are optional, and QVD_DECLINED means: not interested.
   *
   * An action begins. Any status but QVD_OK and QVD_DECLINED aborts it, and the
   * sentence of fail() tells the user why. A suspension can be aborted only if it
   * was ordered: where the client is gone already, a failure is only logged. put()
   * adds session parameters (for pre-connect: also for the provisioning that
   * follows). [worker] */
  qvd_status (*on_action)(void *self, qvd_vma_action action, const qvd_session *session,
                          qvd_call *call);

  /* The session has entered a state. A failure is only logged. [worker] */
  qvd_status (*on_state)(void *self, qvd_vma_state state, const qvd_session *session,
                         qvd_call *call);

  /* QVD_OK for QVD_VMA_MOUNT_HOME and QVD_VMA_ADD_USER: done, the agent does not do
   * it its own way; QVD_DECLINED from all: it does. A failure aborts the
   * connection. [worker] */
  qvd_status (*on_provisioning)(void *self, qvd_vma_provisioning step,
                                const qvd_session *session, qvd_call *call);
} qvd_vma_hook;

#ifdef __cplusplus
}
#endif
#endif
