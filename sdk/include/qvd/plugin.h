/* qvd/plugin.h - what every QVD plugin and the QVD core say to each other.
 *
 * This header is the ABI. It is plain C11, and valid C++11, so that a plugin
 * may be written in anything that can export a C function. The rules that
 * keep a plugin built today loading two years from now:
 *
 *   1. Grow at the end. Structs only gain fields, after the last one.
 *      Nothing is reordered, retyped, or removed.
 *   2. Size says version. Every struct that crosses starts with its `size` as
 *      the writer compiled it; where there is none, the stride of its array
 *      says it. Read a field only where QVD_HAS() says it is there; a missing
 *      function is the same as a null one, a missing value the same as 0.
 *   3. A break is a new name. The next incompatible design is a new entry
 *      symbol (qvd_plugin_v2) or a new interface id ("qvd.load-balancer/2"),
 *      offered beside the old one.
 *   4. Lend, never give. Whatever a call receives (structs, strings, secrets)
 *      is borrowed until that call ends: when it returns, or, after
 *      QVD_PENDING, when it calls complete(). What a plugin hands to the core
 *      is copied before the core's function returns. Neither side ever frees
 *      what the other side allocated.
 *   5. Nothing is thrown across. Failures are a qvd_status; the sentence that
 *      explains one goes to qvd_call_fail().
 *
 * DRAFT. Until the freeze the ids contain "draft." and any release may change
 * anything; a plugin loads only into a core with the same QVD_ABI_DRAFT.
 *
 * Each function states where it may be called, in brackets:
 *
 *   [load]    on the main thread, one at a time: at start, and at each reload
 *   [loop]    on an event-loop thread: must not block, at most 1 ms
 *   [worker]  on a worker thread: may block, until the call's deadline
 *   [any]     on any thread, also several at once
 *
 * How many calls one plugin gets at once is its own choice: qvd_threading. */
#ifndef QVD_PLUGIN_H
#define QVD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Major is the name of the entry symbol, minor only serves messages and
 * `min_core_minor`. The draft number must be equal on both sides; 0 once the
 * ABI is frozen. */
#define QVD_ABI_MAJOR 1
#define QVD_ABI_MINOR 0
#define QVD_ABI_DRAFT 2

#define QVD_EXPORT __attribute__((visibility("default")))

/* True if `object`, as its writer compiled it, reaches past `field`. */
#define QVD_HAS(type, object, field)                                          \
  ((object)->size >= offsetof(type, field) + sizeof((object)->field))

/* ---- Values ----------------------------------------------------------- */

/* UTF-8 text. From the core, data[length] is '\0' and no byte before it is,
 * so C code may use it as a string; data is never null. From a plugin, only
 * `length` counts, and data may be null if it is 0. */
typedef struct qvd_str {
  const char *data;
  size_t length;
} qvd_str;

/* A password or token. Laid out like qvd_str, and a type of its own so that it
 * is not logged by accident. Lent until the call ends (returns, or, after
 * QVD_PENDING, completes); then the core wipes it. Wipe copies of your own. */
typedef struct qvd_secret {
  const char *data;
  size_t length;
} qvd_secret;

/* `count` elements that lie `stride` bytes apart, which may be more (or less)
 * than the sizeof that the reader compiled. Use qvd_array_at(). */
typedef struct qvd_array {
  const void *first;
  size_t count;
  size_t stride;
} qvd_array;

/* A qvd_array initialiser for a C array; QVD_NO_ARRAY for none. */
#define QVD_ARRAY(elements)                                                   \
  { (elements), sizeof(elements) / sizeof((elements)[0]), sizeof((elements)[0]) }
#define QVD_NO_ARRAY { NULL, 0, 0 }

/* One property or parameter, e.g. "qvd.vm.user.uid" = "1001". */
typedef struct qvd_property {
  uint32_t size;
  uint32_t reserved;
  qvd_str key;
  qvd_str value;
} qvd_property;

typedef int32_t qvd_status;
enum {
  QVD_OK = 0,
  QVD_PENDING = 1,      /* accepted; complete() follows, or is done already   */
  QVD_DECLINED = 2,     /* no yes from here, ask the next plugin of the chain;
                           a wrong password is this                           */
  QVD_DENIED = -1,      /* a definite no that ends the chain: locked, forbidden */
  QVD_NOT_FOUND = -2,
  QVD_UNAVAILABLE = -3, /* worth retrying: server down, no node has room      */
  QVD_TIMEOUT = -4,     /* the deadline passed                                */
  QVD_CANCELLED = -5,   /* the client went away, or the node is stopping      */
  QVD_INVALID = -6,     /* the request or the configuration is wrong          */
  QVD_UNSUPPORTED = -7, /* this plugin (or core) does not do that             */
  QVD_INTERNAL = -8,    /* a bug in the plugin                                */
  QVD_CONFLICT = -9     /* taken, or no longer as the caller supposes         */
  /* A status that the reader does not know counts as QVD_INTERNAL. */
};

/* ---- One call --------------------------------------------------------- */

/* The core's side of one request that may take time. It and everything lent
 * with it stay valid until the call ends: when the function returns, or, after
 * QVD_PENDING, when complete() is called. Being past the deadline, or
 * cancelled, does not end a call; it only makes the answer worthless. */
typedef struct qvd_call qvd_call;
struct qvd_call {
  uint32_t size;
  uint32_t reserved;

  /* Names this call in cancel(); never used again by this process. */
  uint64_t id;

  /* Follows one request through every log of the farm; may be empty. */
  qvd_str trace_id;

  /* Milliseconds to the deadline; 0 once it passed or the call was cancelled.
   * Pass it on as the timeout of whatever the plugin waits for. [any] */
  int64_t (*remaining_ms)(const qvd_call *call);

  /* Says why this call fails (or declines), in one sentence for the operator's
   * log. The last one counts. Never put a secret into it. [any] */
  void (*fail)(qvd_call *call, qvd_str sentence);

  /* Tells whoever waits how far it is: `percent` 0..100, or -1 if unknown, and
   * what is being done ("unpacking debian-12.tar.zst"). Call it as often as you
   * like; the core thins it out. [any] */
  void (*progress)(qvd_call *call, int32_t percent, qvd_str sentence);

  /* Hands back one named value; which names mean what is the interface's
   * business. The last value of a name counts. [any] */
  void (*put)(qvd_call *call, qvd_str key, qvd_str value);

  /* Hands back one typed record: `kind` is one of qvd_kind, `record` the struct
   * that belongs to it. Which kinds a function may hand back, and how many, its
   * comment says; others are ignored and counted as misbehaviour. [any] */
  void (*result)(qvd_call *call, uint32_t kind, const void *record);

  /* Ends a call for which the plugin returns QVD_PENDING; exactly once, and the
   * last thing that the plugin does with `call`. It may come before the function
   * has returned QVD_PENDING. [any] */
  void (*complete)(qvd_call *call, qvd_status status);
};

/* What `record` points to, in results of calls and in sinks. */
typedef uint32_t qvd_kind;
enum {
  QVD_KIND_PROPERTY = 1,     /* qvd_property                          */
  QVD_KIND_USER = 2,         /* qvd_user              services.h      */
  QVD_KIND_VM_ENTRY = 3,     /* qvd_vm_entry          services.h      */
  QVD_KIND_PROCESS = 4,      /* qvd_process           services.h      */
  QVD_KIND_VM_STATUS = 16,   /* qvd_vm_status         hypervisor.h    */
  QVD_KIND_IMAGE_STATUS = 17,/* qvd_image_status      hypervisor.h    */
  QVD_KIND_ENDPOINT = 18,    /* qvd_endpoint          hypervisor.h    */
  QVD_KIND_USAGE = 19,       /* qvd_usage             hypervisor.h    */
  QVD_KIND_CAPACITY = 20,    /* qvd_capacity          hypervisor.h    */
  QVD_KIND_SAVED = 21,       /* qvd_saved             hypervisor.h    */
  QVD_KIND_IDENTITY = 32,    /* qvd_identity          authenticator.h */
  QVD_KIND_FACTORS = 33,     /* qvd_factors           authenticator.h */
  QVD_KIND_CHOICE = 48       /* qvd_choice            load_balancer.h */
  /* A reader ignores kinds that it does not know. */
};

/* ---- The core --------------------------------------------------------- */

enum { QVD_LOG_DEBUG = 0, QVD_LOG_INFO = 1, QVD_LOG_WARNING = 2, QVD_LOG_ERROR = 3 };

/* What the core offers to one plugin instance; valid until destroy() returns. */
typedef struct qvd_core qvd_core;
struct qvd_core {
  uint32_t size;
  uint16_t abi_major;
  uint16_t abi_minor;
  uint32_t draft;
  uint32_t reserved;
  qvd_str version;  /* of the running core, e.g. "1.3.0", for messages      */
  qvd_str instance; /* the name in node.conf that led here, e.g. "default"  */

  /* Writes one line; the core adds time, plugin name and trace id. A level that
   * the core does not know counts as QVD_LOG_INFO. [any] */
  void (*log)(const qvd_core *core, int32_t level, qvd_str line);

  /* The configured value of a key that the plugin declares, or its default;
   * length 0 if it has neither. Already checked against the declared type.
   * Lives until destroy(): a reload that changes a declared key makes a new
   * instance. Undeclared keys are QVD_INVALID. [any] */
  qvd_status (*config)(const qvd_core *core, const char *key, qvd_str *value);

  /* A service by id, e.g. QVD_CORE_TIMERS: its table of functions, whose first
   * argument is `core`; null if this core has no such service. The tables live
   * until destroy(). They are all in qvd/services.h and hypervisor.h. [any] */
  const void *(*service)(const qvd_core *core, const char *id);
};

/* ---- The plugin ------------------------------------------------------- */

/* How many calls at once, optionally with QVD_MAY_BLOCK added. The core keeps
 * to it. A pending call counts as under way until its function has returned;
 * cancel() comes at any time, whatever is declared. An unknown value counts as
 * QVD_SERIAL. */
typedef uint32_t qvd_threading;
enum {
  QVD_SERIAL = 0,         /* one call at a time in the whole plugin (default) */
  QVD_PER_INSTANCE = 1,   /* one call at a time in each instance              */
  QVD_CONCURRENT = 2,     /* any number of calls at once                      */
  QVD_MAY_BLOCK = 1 << 8  /* call [loop] functions on a worker thread instead */
};

enum {
  QVD_KEY_REQUIRED = 1 << 0,
  QVD_KEY_SECRET = 1 << 1,  /* never shown or logged                    */
  QVD_KEY_FILE_ONLY = 1 << 2 /* not from the database                    */
};
typedef uint32_t qvd_key_type;
enum {
  QVD_TEXT = 0,
  QVD_INTEGER = 1,
  QVD_NUMBER = 2,   /* may have decimals        */
  QVD_BOOLEAN = 3,  /* 0, 1, yes, no, true, false, on, off */
  QVD_SECONDS = 4,
  QVD_PATH = 5      /* absolute                 */
  /* A type that the core does not know counts as QVD_TEXT. */
};

/* One configuration key that the plugin reads; one that the core also has may
 * be declared too. The core checks values before it creates anything, and
 * `qvd-plugin-check --keys` prints them as a manual. */
typedef struct qvd_config_key {
  uint32_t size;
  uint32_t flags;            /* QVD_KEY_...                                 */
  qvd_key_type type;
  uint32_t reserved;
  const char *name;          /* e.g. "auth.ldap.host"                       */
  const char *default_value; /* null: none                                  */
  const char *meaning;       /* one sentence                                */
  const char *allowed;       /* null: any; "1..64", or "never|find|always"  */
} qvd_config_key;

/* An interface that the plugin implements: QVD_LOAD_BALANCER and its table of
 * functions. Such tables start with QVD_INTERFACE_HEAD. */
typedef struct qvd_interface {
  const char *id;
  const void *table;
} qvd_interface;

/* How every interface table starts.
 *
 * create: makes an instance and writes it to `*self` before it returns; must
 *   not return QVD_PENDING. On failure `*self` is left alone and destroy() is
 *   not called. Should take less than a second: no network. [load]
 * destroy: ends it. No call is under way and none will come; must not fail, and
 *   must leave no thread of its own behind. [any, alone]
 * cancel: optional; gives up on a call of this instance soon. complete() of a
 *   pending call is still due, best with QVD_CANCELLED. The call may have ended
 *   meanwhile: an id that the plugin does not know is ignored. Comes while
 *   other calls are under way; must not block. [any] */
#define QVD_INTERFACE_HEAD                                                    \
  uint32_t size;                                                              \
  qvd_threading threading;                                                    \
  qvd_status (*create)(const qvd_core *core, qvd_call *call, void **self);    \
  void (*destroy)(void *self);                                                \
  void (*cancel)(void *self, uint64_t call_id)

typedef struct qvd_interface_head {
  QVD_INTERFACE_HEAD;
} qvd_interface_head;

/* The manifest. */
typedef struct qvd_plugin {
  uint32_t size;
  uint16_t abi_major;      /* QVD_ABI_MAJOR                              */
  uint16_t abi_minor;      /* QVD_ABI_MINOR of the headers it was built with */
  uint32_t draft;          /* QVD_ABI_DRAFT                              */
  uint16_t min_core_minor; /* oldest core that it can do without loss on */
  uint16_t reserved;
  const char *name;        /* as in node.conf; the file is qvd-NAME.so; a-z, 0-9, "-" */
  const char *version;
  const char *summary;     /* one sentence */
  const char *license;     /* SPDX         */
  qvd_array interfaces;    /* of qvd_interface, at least one             */
  qvd_array keys;          /* of qvd_config_key                          */
} qvd_plugin;

/* The only symbol that a plugin exports. Returns constant data, does nothing
 * else, and may be called before and without everything above. [any] */
QVD_EXPORT const qvd_plugin *qvd_plugin_v1(void);

/* ---- Conveniences, all inline ----------------------------------------- */

static inline qvd_str qvd_text(const char *text) {
  qvd_str s;
  s.data = text ? text : "";
  s.length = text ? strlen(text) : 0;
  return s;
}

static inline const void *qvd_array_at(const qvd_array *array, size_t index) {
  return (const char *)array->first + index * array->stride;
}

/* For `return qvd_call_fail(call, QVD_UNAVAILABLE, "no answer from ...");` */
static inline qvd_status qvd_call_fail(qvd_call *call, qvd_status status,
                                       const char *sentence) {
  call->fail(call, qvd_text(sentence));
  return status;
}

#ifdef __cplusplus
}
#endif
#endif
