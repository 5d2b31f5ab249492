// Draft 2 of qvd/authenticator.h, as it is: every size, offset, type and value. A change of the
// header without a new draft number (QVD_ABI_DRAFT), and a new folder of these files, does not
// compile.
#include "tests/abi/layout.hpp"

#include <qvd/authenticator.h>

ID(QVD_AUTHENTICATOR, "qvd.draft.authenticator/1");
ALIAS(qvd_credential_kind, uint32_t);
VALUE(QVD_PASSWORD, 0);
VALUE(QVD_BEARER_TOKEN, 1);
VALUE(QVD_COOKIE, 2);

SIZE(qvd_credentials, 24);
FIELD(qvd_credentials, size, 0, uint32_t);
FIELD(qvd_credentials, kind, 4, qvd_credential_kind);
FIELD(qvd_credentials, secret, 8, qvd_secret);
VALUE(QVD_LOGIN_SECOND_FACTOR, 1);
ALIAS(qvd_login_request, uint32_t);
VALUE(QVD_REQUEST_LIST_VMS, 0);
VALUE(QVD_REQUEST_CONNECT, 1);
VALUE(QVD_REQUEST_STOP_VM, 2);
VALUE(QVD_REQUEST_OTHER, 3);

SIZE(qvd_login, 152);
FIELD(qvd_login, size, 0, uint32_t);
FIELD(qvd_login, flags, 4, uint32_t);
FIELD(qvd_login, id, 8, uint64_t);
FIELD(qvd_login, request, 16, qvd_login_request);
FIELD(qvd_login, client_port, 20, uint32_t);
FIELD(qvd_login, client_address, 24, qvd_str);
FIELD(qvd_login, typed_name, 40, qvd_str);
FIELD(qvd_login, name, 56, qvd_str);
FIELD(qvd_login, user_id, 72, uint64_t);
FIELD(qvd_login, vm_id, 80, uint64_t);
FIELD(qvd_login, request_parameters, 88, qvd_array);
FIELD(qvd_login, session_parameters, 112, qvd_array);
FIELD(qvd_login, get, 136, qvd_str (*)(const qvd_login*, qvd_str));
FIELD(qvd_login, put, 144, void (*)(const qvd_login*, qvd_str, qvd_str));

SIZE(qvd_identity, 32);
FIELD(qvd_identity, size, 0, uint32_t);
FIELD(qvd_identity, reserved, 4, uint32_t);
FIELD(qvd_identity, user_id, 8, uint64_t);
FIELD(qvd_identity, name, 16, qvd_str);

SIZE(qvd_factors, 40);
FIELD(qvd_factors, size, 0, uint32_t);
FIELD(qvd_factors, reserved, 4, uint32_t);
FIELD(qvd_factors, password, 8, qvd_secret);
FIELD(qvd_factors, second_factor, 24, qvd_secret);

SIZE(qvd_authenticator, 104);
FIELD(qvd_authenticator, size, 0, uint32_t);
FIELD(qvd_authenticator, threading, 4, qvd_threading);
FIELD(qvd_authenticator, create, 8, qvd_status (*)(const qvd_core*, qvd_call*, void**));
FIELD(qvd_authenticator, destroy, 16, void (*)(void*));
FIELD(qvd_authenticator, cancel, 24, void (*)(void*, uint64_t));
FIELD(qvd_authenticator, normalise_login, 32, qvd_status (*)(void*, const qvd_login*, qvd_call*));
FIELD(qvd_authenticator, split, 40, qvd_status (*)(void*, const qvd_login*, qvd_secret, qvd_call*));
FIELD(qvd_authenticator, authenticate, 48,
      qvd_status (*)(void*, const qvd_login*, const qvd_credentials*, qvd_call*));
FIELD(qvd_authenticator, second_factor, 56,
      qvd_status (*)(void*, const qvd_login*, qvd_secret, qvd_call*));
FIELD(qvd_authenticator, after_login, 64, qvd_status (*)(void*, const qvd_login*, qvd_call*));
FIELD(qvd_authenticator, before_list_vms, 72, qvd_status (*)(void*, const qvd_login*, qvd_call*));
FIELD(qvd_authenticator, list_vms, 80, qvd_status (*)(void*, const qvd_login*, qvd_call*));
FIELD(qvd_authenticator, allow_access, 88,
      qvd_status (*)(void*, const qvd_login*, const qvd_vm_entry*, qvd_call*));
FIELD(qvd_authenticator, before_connect, 96,
      qvd_status (*)(void*, const qvd_login*, const qvd_vm_entry*, qvd_call*));
