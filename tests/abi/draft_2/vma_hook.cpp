// Draft 2 of qvd/vma_hook.h, as it is: every size, offset, type and value. A change of the header
// without a new draft number (QVD_ABI_DRAFT), and a new folder of these files, does not compile.
#include "tests/abi/layout.hpp"

#include <qvd/vma_hook.h>

ID(QVD_VMA_HOOK, "qvd.draft.vma-hook/2");
ALIAS(qvd_vma_action, uint32_t);
VALUE(QVD_VMA_PRE_CONNECT, 0);
VALUE(QVD_VMA_CONNECT, 1);
VALUE(QVD_VMA_SUSPEND, 2);
VALUE(QVD_VMA_STOP, 3);
VALUE(QVD_VMA_POWEROFF, 4);
VALUE(QVD_VMA_EXPIRE, 5);
ALIAS(qvd_vma_state, uint32_t);
VALUE(QVD_VMA_CONNECTED, 0);
VALUE(QVD_VMA_SUSPENDED, 1);
VALUE(QVD_VMA_DISCONNECTED, 2);
ALIAS(qvd_vma_provisioning, uint32_t);
VALUE(QVD_VMA_MOUNT_HOME, 0);
VALUE(QVD_VMA_ADD_USER, 1);
VALUE(QVD_VMA_AFTER_ADD_USER, 2);

SIZE(qvd_session, 88);
FIELD(qvd_session, size, 0, uint32_t);
FIELD(qvd_session, reserved, 4, uint32_t);
FIELD(qvd_session, vm_id, 8, uint64_t);
FIELD(qvd_session, event, 16, qvd_str);
FIELD(qvd_session, user_name, 32, qvd_str);
FIELD(qvd_session, user_home, 48, qvd_str);
FIELD(qvd_session, parameters, 64, qvd_array);

SIZE(qvd_vma_hook, 56);
FIELD(qvd_vma_hook, size, 0, uint32_t);
FIELD(qvd_vma_hook, threading, 4, qvd_threading);
FIELD(qvd_vma_hook, create, 8, qvd_status (*)(const qvd_core*, qvd_call*, void**));
FIELD(qvd_vma_hook, destroy, 16, void (*)(void*));
FIELD(qvd_vma_hook, cancel, 24, void (*)(void*, uint64_t));
FIELD(qvd_vma_hook, on_action, 32,
      qvd_status (*)(void*, qvd_vma_action, const qvd_session*, qvd_call*));
FIELD(qvd_vma_hook, on_state, 40,
      qvd_status (*)(void*, qvd_vma_state, const qvd_session*, qvd_call*));
FIELD(qvd_vma_hook, on_provisioning, 48,
      qvd_status (*)(void*, qvd_vma_provisioning, const qvd_session*, qvd_call*));
