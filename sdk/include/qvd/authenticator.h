/* qvd/authenticator.h - deciding who a client is and what he may reach.
 *
 * The plugins of `l7r.auth.plugins` form a chain, asked in that order. All
 * functions are optional: null takes no part, or means what the comment says.
 * All may return QVD_PENDING. One login:
 *
 *   normalise_login   every plugin, each sees what the one before made of it
 *   split             the first that splits a second factor off the password
 *   authenticate      until one says QVD_OK or QVD_DENIED
 *   second_factor     if split() found one: until one says QVD_OK or QVD_DENIED
 *   after_login       every plugin
 *   before_list_vms, list_vms, allow_access, before_connect  by what he asks for
 *
 * Who is refused gets 401; 503 if no plugin said QVD_OK or QVD_DENIED and one said
 * QVD_UNAVAILABLE or QVD_TIMEOUT; 403 where access to a VM is refused. */
#ifndef QVD_AUTHENTICATOR_H
#define QVD_AUTHENTICATOR_H

#include "services.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QVD_AUTHENTICATOR "qvd.draft.authenticator/1"

typedef uint32_t qvd_credential_kind;
enum { QVD_PASSWORD = 0, QVD_BEARER_TOKEN = 1, QVD_COOKIE = 2 };
/* A kind that the plugin does not know: QVD_DECLINED. */

typedef struct qvd_credentials {
  uint32_t size;
  qvd_credential_kind kind;
  qvd_secret secret; /* password (without its second factor), token, or cookie */
} qvd_credentials;

enum { QVD_LOGIN_SECOND_FACTOR = 1 << 0 }; /* split() found one */

typedef uint32_t qvd_login_request;
enum { QVD_REQUEST_LIST_VMS = 0, QVD_REQUEST_CONNECT = 1, QVD_REQUEST_STOP_VM = 2,
       QVD_REQUEST_OTHER = 3 };

/* One login from its first byte to the end of its connection, as it is at this
 * call. Lent until the call ends; `id` and put() state last as long as the login. */
typedef struct qvd_login qvd_login;
struct qvd_login {
  uint32_t size;
  uint32_t flags;         /* QVD_LOGIN_...                                      */
  uint64_t id;            /* unique in this process                             */
  qvd_login_request request;
  uint32_t client_port;
  qvd_str client_address; /* "192.0.2.7" or "2001:db8::7"                       */
  qvd_str typed_name;     /* as the client sent it; empty for a token           */
  qvd_str name;           /* normalised so far                                  */
  uint64_t user_id;       /* 0 until a plugin handed back an identity with it   */
  uint64_t vm_id;         /* the VM asked for; 0: none                          */
  qvd_array request_parameters; /* of qvd_property: what the client sent along,
                             "qvd.client.os" and the like; not to be trusted    */
  qvd_array session_parameters; /* of qvd_property: what plugins put() so far   */

  /* This instance's own state of this login, which no other plugin sees. get()
   * gives an empty text for what was never put; its answer is good until the login
   * ends, even if put again. put() copies; all is wiped at the login's end. [any] */
  qvd_str (*get)(const qvd_login *login, qvd_str key);
  void (*put)(const qvd_login *login, qvd_str key, qvd_str value);
};

/* Kind QVD_KIND_IDENTITY. Empty and 0 leave what is there. */
typedef struct qvd_identity {
  uint32_t size;
  uint32_t reserved;
  uint64_t user_id; /* as the core's provisioning or accounts service gave it */
  qvd_str name;     /* the login from here on                                 */
} qvd_identity;

/* Kind QVD_KIND_FACTORS; copied, and wiped as soon as they are no longer needed. */
typedef struct qvd_factors {
  uint32_t size;
  uint32_t reserved;
  qvd_secret password;
  qvd_secret second_factor; /* not empty */
} qvd_factors;

typedef struct qvd_authenticator {
  QVD_INTERFACE_HEAD;

  /* Hands back a qvd_identity with the name it makes of login->name, and QVD_OK;
   * or QVD_DECLINED: leave it as it is. Anything else refuses the login. [worker] */
  qvd_status (*normalise_login)(void *self, const qvd_login *login, qvd_call *call);

  /* Hands back qvd_factors and QVD_OK, or QVD_DECLINED: nothing to split here.
   * `password` is as the client sent it. [worker] */
  qvd_status (*split)(void *self, const qvd_login *login, qvd_secret password,
                      qvd_call *call);

  /* QVD_OK: this is the user; put() session parameters ("qvd.vm.user.uid"), and
   * hand back a qvd_identity to set the user's id or another name. QVD_DECLINED:
   * no yes from here (wrong password, unknown user, unknown kind). QVD_DENIED:
   * refuse and ask nobody else (locked, forbidden). QVD_UNAVAILABLE: cannot tell
   * (server down); the next is asked. [worker] */
  qvd_status (*authenticate)(void *self, const qvd_login *login,
                             const qvd_credentials *credentials, qvd_call *call);

  /* Like authenticate(). If no plugin says QVD_OK the login fails, even though the
   * password was right. Who demands a second factor from everybody says QVD_DENIED
   * in after_login() where QVD_LOGIN_SECOND_FACTOR is missing. [worker] */
  qvd_status (*second_factor)(void *self, const qvd_login *login, qvd_secret factor,
                              qvd_call *call);

  /* After full success, on every plugin, also those that did not authenticate: make
   * what the user lacks, put() session parameters, hand back a qvd_identity. QVD_OK
   * and QVD_DECLINED go on; anything else refuses the login. If no plugin has set a
   * user id by now, the core looks the name up, and refuses unknown users.
   * [worker] */
  qvd_status (*after_login)(void *self, const qvd_login *login, qvd_call *call);

  /* The user is about to be sent his list, on every plugin; a failure refuses.
   * [worker] */
  qvd_status (*before_list_vms)(void *self, const qvd_login *login, qvd_call *call);

  /* Hands back one qvd_vm_entry for each VM that the user is to see; of them `id`
   * counts, and `name` if it is not empty (a name of its own in the list). The first
   * QVD_OK replaces the default list; QVD_DECLINED: the next plugin, in the end the
   * default: his own VMs. [worker] */
  qvd_status (*list_vms)(void *self, const qvd_login *login, qvd_call *call);

  /* May the user connect to, or stop, this VM? One QVD_OK of any plugin grants it
   * (the rest is not asked); if none grants it is refused, with the sentence of the
   * last that gave one. Null: QVD_OK if the VM is his own. [worker] */
  qvd_status (*allow_access)(void *self, const qvd_login *login, const qvd_vm_entry *vm,
                             qvd_call *call);

  /* The VM runs on its node, or has been given one (`vm->node_id`) and is about to be
   * started there; on every plugin: put() adds session parameters for the agent. A
   * failure refuses, and a VM that does not run is then not started. [worker] */
  qvd_status (*before_connect)(void *self, const qvd_login *login, const qvd_vm_entry *vm,
                               qvd_call *call);
} qvd_authenticator;

/* For `return qvd_call_identify(call, user->id, user->login);` */
static inline qvd_status qvd_call_identify(qvd_call *call, uint64_t user_id, qvd_str name) {
  qvd_identity identity;
  identity.size = sizeof identity;
  identity.reserved = 0;
  identity.user_id = user_id;
  identity.name = name;
  call->result(call, QVD_KIND_IDENTITY, &identity);
  return QVD_OK;
}

#ifdef __cplusplus
}
#endif
#endif
