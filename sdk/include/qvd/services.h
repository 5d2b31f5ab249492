/* qvd/services.h - what a plugin may ask the core for, by id.
 *
 * A core may lack any of these: service() then returns null, and the plugin
 * does without or fails in create() with a sentence that names the service. A
 * role only offers what it has: only the broker has the inventory, for example.
 *
 * Functions marked [worker] may wait for the database. They take the call they
 * are made for (`on_behalf`), whose deadline and trace id then count; null means
 * a limit of 10 seconds. They may be called inside such a call (also on a thread
 * of the plugin, after QVD_PENDING) and by timers, never from a [loop] function, nor
 * in create() or destroy(), which run where the database's answers would arrive.
 *
 * Results come back through a sink, on the calling thread, before the function
 * returns; so a sink needs no lock. */
#ifndef QVD_SERVICES_H
#define QVD_SERVICES_H

#include "plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a service puts its answers: memory of the caller. Any function may be
 * null: such answers are dropped. Arguments are lent until the function returns. */
typedef struct qvd_sink {
  uint32_t size;
  uint32_t reserved;
  void *data; /* passed back as the first argument */
  void (*record)(void *data, qvd_kind kind, const void *record);
  void (*fail)(void *data, qvd_str sentence); /* why the status is not QVD_OK */
} qvd_sink;

/* ---- Log -------------------------------------------------------------- */

#define QVD_CORE_LOG "qvd.draft.core.log/1"
typedef struct qvd_log_service {
  uint32_t size;
  uint32_t reserved;
  /* False if a line of this level would be dropped. [any] */
  int32_t (*enabled)(const qvd_core *core, int32_t level);
  /* Like core->log(), with a stable event name ("ldap.slow") that operators can
   * search for, and the call whose trace id the line gets (or null). [any] */
  void (*write)(const qvd_core *core, const qvd_call *on_behalf, int32_t level,
                qvd_str event, qvd_str line);
} qvd_log_service;

/* ---- Configuration ---------------------------------------------------- */

#define QVD_CORE_CONFIGURATION "qvd.draft.core.configuration/1"
typedef struct qvd_configuration_service {
  uint32_t size;
  uint32_t reserved;
  /* A declared key as text; see core->config(). [any] */
  qvd_status (*get)(const qvd_core *core, qvd_str key, qvd_str *value);
  /* A declared key of type QVD_INTEGER, QVD_BOOLEAN (0 or 1), or QVD_SECONDS.
   * QVD_NOT_FOUND if it has neither value nor default. [any] */
  qvd_status (*get_integer)(const qvd_core *core, qvd_str key, int64_t *value);
  /* A declared key of type QVD_NUMBER, or any of the above. [any] */
  qvd_status (*get_number)(const qvd_core *core, qvd_str key, double *value);
} qvd_configuration_service;

/* ---- Timers ----------------------------------------------------------- */

#define QVD_CORE_TIMERS "qvd.draft.core.timers/1"
typedef struct qvd_timers_service {
  uint32_t size;
  uint32_t reserved;
  /* Calls fire(data) once, `delay_ms` from now, on a worker thread and by the
   * plugin's threading rule. Writes what cancel() needs to `*timer`. [any] */
  qvd_status (*after)(const qvd_core *core, int64_t delay_ms,
                      void (*fire)(void *data), void *data, uint64_t *timer);
  /* When it returns, fire() neither runs nor will run. Not from fire(), nor
   * holding a lock that fire() takes. Unknown timers are ignored. The core
   * cancels what is left before destroy(). [any] */
  void (*cancel)(const qvd_core *core, uint64_t timer);
} qvd_timers_service;

/* ---- The farm, as the core last saw it -------------------------------- */

enum {
  QVD_NODE_BLOCKED = 1 << 0, /* the operator wants nothing new on it */
  QVD_NODE_RUNNING = 1 << 1
};

/* A node and its load. Memory is in MiB of 2^20 bytes. */
typedef struct qvd_node {
  uint32_t size;
  uint32_t flags;           /* QVD_NODE_...                                   */
  uint64_t id;
  qvd_str uuid;
  qvd_str name;
  qvd_str address;
  double total_memory_mib;
  double free_memory_mib;   /* as it reported, less what VMs admitted to it and
                               not yet running have reserved; not below 0      */
  uint32_t cpus;            /* logical ones                                   */
  uint32_t vms;             /* running on it, or ordered to                   */
  double idle_cpu;          /* 0 busy .. 1 idle, the mean of its last minute  */
  double cpu_mhz;           /* of all its CPUs together; 0: unknown           */
  int64_t load_age_ms;      /* how old the load is; -1: it never reported any */
  qvd_array properties;     /* of qvd_property                                */
} qvd_node;

enum {
  QVD_VM_ENTRY_BLOCKED = 1 << 0,
  QVD_VM_ENTRY_USER_CONNECTED = 1 << 1
};

/* A VM as the database knows it. (What a backend needs to run one is qvd_vm.) */
typedef struct qvd_vm_entry {
  uint32_t size;
  uint32_t flags;       /* QVD_VM_ENTRY_...                                */
  uint64_t id;
  qvd_str uuid;
  qvd_str name;
  uint64_t user_id;
  qvd_str user_name;
  uint64_t osf_id;
  qvd_str osf_name;
  uint64_t di_id;       /* 0: not yet decided                              */
  qvd_str di_tag;
  uint64_t node_id;     /* 0: on none                                      */
  qvd_str state;        /* "stopped", "starting", "running", "stopping", "zombie",
                           "failed", "debug", "paused", "suspended"        */
  qvd_array properties; /* of qvd_property, its own and those it inherits;
                           empty in a snapshot                             */
} qvd_vm_entry;

/* Nothing in it changes; where it came from (a database, a test) does not show. */
typedef struct qvd_snapshot {
  uint32_t size;
  uint32_t reserved;
  int64_t taken_at_ms; /* since 1970, UTC    */
  qvd_array nodes;     /* of qvd_node        */
  qvd_array vms;       /* of qvd_vm_entry    */
} qvd_snapshot;

#define QVD_CORE_INVENTORY "qvd.draft.core.inventory/1"
typedef struct qvd_inventory_service {
  uint32_t size;
  uint32_t reserved;
  /* The newest snapshot; no query is made. Never null; give each one back
   * before destroy() returns. [any] */
  const qvd_snapshot *(*take)(const qvd_core *core);
  void (*give_back)(const qvd_core *core, const qvd_snapshot *snapshot);
} qvd_inventory_service;

/* ---- Users and their VMs ---------------------------------------------- */

enum { QVD_USER_BLOCKED = 1 << 0 };

typedef struct qvd_user {
  uint32_t size;
  uint32_t flags;       /* QVD_USER_... */
  uint64_t id;
  qvd_str login;
  qvd_array properties; /* of qvd_property */
} qvd_user;

/* What create_vm() is to make. */
typedef struct qvd_vm_order {
  uint32_t size;
  uint32_t reserved;
  uint64_t user_id;
  uint64_t osf_id;
  qvd_str name;   /* unique in the farm */
  qvd_str di_tag; /* empty: "default"   */
} qvd_vm_order;

#define QVD_CORE_PROVISIONING "qvd.draft.core.provisioning/1"
typedef struct qvd_provisioning_service {
  uint32_t size;
  uint32_t reserved;
  /* Records the QVD_KIND_USER of this login, or QVD_NOT_FOUND. [worker] */
  qvd_status (*find_user)(const qvd_core *core, const qvd_call *on_behalf,
                          qvd_str login, const qvd_sink *sink);
  /* The same, and makes him (without a password) if there is none. Safe to
   * repeat and to race. [worker] */
  qvd_status (*ensure_user)(const qvd_core *core, const qvd_call *on_behalf,
                            qvd_str login, const qvd_sink *sink);
  /* Records one QVD_KIND_VM_ENTRY with properties: by id, or by name if `vm_id`
   * is 0; or QVD_NOT_FOUND. [worker] */
  qvd_status (*find_vm)(const qvd_core *core, const qvd_call *on_behalf,
                        uint64_t vm_id, qvd_str name, const qvd_sink *sink);
  /* Records one QVD_KIND_VM_ENTRY with properties for each VM of the user; only
   * those of one OSF unless `osf_id` is 0. [worker] */
  qvd_status (*list_vms)(const qvd_core *core, const qvd_call *on_behalf,
                         uint64_t user_id, uint64_t osf_id, const qvd_sink *sink);
  /* Makes a VM and records its QVD_KIND_VM_ENTRY. QVD_CONFLICT if the name is
   * taken, QVD_NOT_FOUND if the user, the OSF or a disk image with that tag does
   * not exist. [worker] */
  qvd_status (*create_vm)(const qvd_core *core, const qvd_call *on_behalf,
                          const qvd_vm_order *order, const qvd_sink *sink);
} qvd_provisioning_service;

/* ---- Accounts: passwords that the farm itself keeps -------------------- */

#define QVD_CORE_ACCOUNTS "qvd.draft.core.accounts/1"
typedef struct qvd_accounts_service {
  uint32_t size;
  uint32_t reserved;
  /* Compares with the stored hash, which no plugin sees, and upgrades a hash of
   * an older kind. QVD_OK: right; records his QVD_KIND_USER. QVD_DECLINED:
   * wrong, or empty. QVD_NOT_FOUND: no such user, or he has no password here;
   * takes as long as a wrong one. QVD_UNAVAILABLE: the database does not answer.
   * [worker] */
  qvd_status (*verify_password)(const qvd_core *core, const qvd_call *on_behalf,
                                qvd_str login, qvd_secret password,
                                const qvd_sink *sink);
} qvd_accounts_service;

/* ---- Properties ------------------------------------------------------- */

typedef uint32_t qvd_scope;
enum { QVD_SCOPE_NODE = 0, QVD_SCOPE_USER = 1, QVD_SCOPE_VM = 2,
       QVD_SCOPE_OSF = 3, QVD_SCOPE_DI = 4 };

#define QVD_CORE_PROPERTIES "qvd.draft.core.properties/1"
typedef struct qvd_properties_service {
  uint32_t size;
  uint32_t reserved;
  /* Records the QVD_KIND_PROPERTY, or QVD_NOT_FOUND. For a VM the first of VM,
   * user, DI, OSF that has the key counts; others have only their own. [worker] */
  qvd_status (*get)(const qvd_core *core, const qvd_call *on_behalf, qvd_scope scope,
                    uint64_t id, qvd_str key, const qvd_sink *sink);
  /* Records all of its own. [worker] */
  qvd_status (*list)(const qvd_core *core, const qvd_call *on_behalf, qvd_scope scope,
                     uint64_t id, const qvd_sink *sink);
  /* Sets, or, with an empty value, removes one of its own: of a user or a VM, and
   * in the broker only. Anything else is QVD_DENIED: properties of nodes, OSFs and
   * DIs are the administrator's, and hkd changes none. [worker] */
  qvd_status (*set)(const qvd_core *core, const qvd_call *on_behalf, qvd_scope scope,
                    uint64_t id, qvd_str key, qvd_str value, const qvd_sink *sink);
} qvd_properties_service;

/* ---- Metrics ---------------------------------------------------------- */

typedef uint32_t qvd_metric_type;
enum { QVD_COUNTER = 0, QVD_GAUGE = 1 };

#define QVD_CORE_METRICS "qvd.draft.core.metrics/1"
typedef struct qvd_metrics_service {
  uint32_t size;
  uint32_t reserved;
  /* Writes a number for `name` ("requests", a-z and "_") to `*metric`. Only in
   * create(), so that an operator can know all names; later it is QVD_INVALID.
   * `meaning` is one sentence with the unit. Shown as qvd_PLUGIN_NAME: of hkd's
   * plugins at GET /metrics of path.run/control.sock, of the broker's in the log
   * (plugin.metrics) when they have changed. [load] */
  qvd_status (*define)(const qvd_core *core, qvd_metric_type type, qvd_str name,
                       qvd_str meaning, uint32_t *metric);
  /* Unknown metrics are ignored; a counter takes no negative amount. [any] */
  void (*add)(const qvd_core *core, uint32_t metric, int64_t amount);
  void (*set)(const qvd_core *core, uint32_t metric, int64_t value);
} qvd_metrics_service;

/* ---- Processes -------------------------------------------------------- */

/* Long-lived programs that the core starts and holds for a plugin, such as the
 * keeper of one container. They survive the core: they are in a session of
 * their own, and a later core (and a later instance of the plugin)
 * finds them by label with list() and goes on watching them with adopt(). */

typedef uint32_t qvd_process_state;
enum {
  QVD_PROCESS_RUNNING = 0,
  QVD_PROCESS_EXITED = 1, /* `exit_code` is set                           */
  QVD_PROCESS_KILLED = 2, /* `exit_code` is the signal                    */
  QVD_PROCESS_GONE = 3    /* ended while no core watched; code not known  */
};

typedef struct qvd_process {
  uint32_t size;
  qvd_process_state state;
  qvd_str label;
  int32_t pid;
  int32_t exit_code;
  uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat:
                          with pid it names the process until the next boot */
} qvd_process;

enum {
  QVD_PROCESS_CLOSE_OUTPUT = 1 << 0, /* stdout and stderr go to /dev/null    */
  QVD_PROCESS_END_WITH_CORE = 1 << 1 /* TERM when this instance is destroyed */
};

typedef struct qvd_process_order {
  uint32_t size;
  uint32_t flags;        /* QVD_PROCESS_...                                  */
  qvd_str label;         /* "vm-42": names it in this plugin; a-z, 0-9, "-", ".", "_" */
  qvd_array arguments;   /* of qvd_str; the first is the program's absolute path.
                            Everybody can read them: no secret                */
  qvd_array environment; /* of qvd_str "KEY=value"; it gets no other          */
  qvd_str directory;     /* to start in; empty: "/"                           */
  qvd_secret input;      /* written to its stdin, which is then closed        */
  qvd_str output_path;   /* stdout and stderr are appended to this file (0600);
                            empty: to the core's standard error, which no log
                            keeps and a process may outlive                   */
  /* Called once when it has ended, also if it was adopted; then the label is
   * free again. `process` is lent until it returns. May be null. [worker] */
  void (*ended)(void *data, const qvd_process *process);
  void *data;
} qvd_process_order;

#define QVD_CORE_PROCESSES "qvd.draft.core.processes/1"
typedef struct qvd_processes_service {
  uint32_t size;
  uint32_t reserved;
  /* Starts it; records the QVD_KIND_PROCESS. QVD_CONFLICT if a process with that
   * label runs, QVD_NOT_FOUND if there is no such program. [worker] */
  qvd_status (*start)(const qvd_core *core, const qvd_call *on_behalf,
                      const qvd_process_order *order, const qvd_sink *sink);
  /* Records a QVD_KIND_PROCESS for each process of this plugin that runs,
   * whichever core started it, and for each that ended unwatched. [worker] */
  qvd_status (*list)(const qvd_core *core, const qvd_call *on_behalf,
                     const qvd_sink *sink);
  /* Watches a process that an earlier core started: of `process`, label, pid and
   * start_time count (as list() gave them, or as the plugin learned them from its
   * helper's control socket). QVD_NOT_FOUND if it has ended; `ended` is then not
   * called, and the label is free. [worker] */
  qvd_status (*adopt)(const qvd_core *core, const qvd_call *on_behalf,
                      const qvd_process *process,
                      void (*ended)(void *data, const qvd_process *process),
                      void *data, const qvd_sink *sink);
  /* Sends a signal. QVD_NOT_FOUND if it does not run. [any] */
  qvd_status (*signal)(const qvd_core *core, qvd_str label, int32_t signal);
  /* TERM, and KILL of its whole session (process group) `grace_ms` later. Returns at once; ended()
   * tells the end. QVD_NOT_FOUND if it does not run. [any] */
  qvd_status (*stop)(const qvd_core *core, qvd_str label, int64_t grace_ms);
} qvd_processes_service;

#ifdef __cplusplus
}
#endif
#endif
