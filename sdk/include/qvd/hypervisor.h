/* qvd/hypervisor.h - running VMs on this node.
 *
 * A backend never reads the database: what it needs it is told, what it finds it
 * hands back. The core makes at most one call at a time for the same VM, and for
 * the same image (usage(), console() and cancel() apart); how many VMs at once,
 * the plugin's threading says.
 *
 * Everything is safe to repeat: the core may have died after a call and before it
 * wrote down the answer. Paths are absolute; sizes are in bytes unless the name
 * says MiB (2^20 bytes). All calls may return QVD_PENDING. */
#ifndef QVD_HYPERVISOR_H
#define QVD_HYPERVISOR_H

#include "services.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QVD_HYPERVISOR "qvd.draft.hypervisor/1"

/* ---- What is to run ---------------------------------------------------- */

typedef uint32_t qvd_vm_state;
enum {
  QVD_VM_STOPPED = 0,   /* nothing of it runs                                  */
  QVD_VM_STARTING = 1,
  QVD_VM_RUNNING = 2,
  QVD_VM_STOPPING = 3,
  QVD_VM_UNKNOWN = 4,   /* the backend cannot tell                             */
  QVD_VM_PAUSED = 5,    /* in memory, not scheduled                            */
  QVD_VM_SUSPENDED = 6, /* saved to disk                                       */
  QVD_VM_CRASHED = 7    /* ended by itself; left-overs may need destroy_vm()   */
  /* A state that the reader does not know counts as QVD_VM_UNKNOWN. */
};

typedef uint32_t qvd_image_format;
enum { QVD_FORMAT_RAW = 0, QVD_FORMAT_QCOW2 = 1, QVD_FORMAT_TAR = 2, /* .gz .xz .zst */
       QVD_FORMAT_DIRECTORY = 3 };

typedef uint32_t qvd_disk_role;
enum { QVD_DISK_OS = 0, QVD_DISK_HOME = 1, QVD_DISK_DATA = 2 };

enum {
  QVD_DISK_READ_ONLY = 1 << 0,
  QVD_DISK_PERSISTENT = 1 << 1 /* of an OS disk: keep overlay_path between starts;
                                  without it each start begins afresh          */
};

/* A disk that the reader cannot provide fails the start with QVD_UNSUPPORTED. */
typedef struct qvd_disk {
  uint32_t size;
  qvd_disk_role role;
  qvd_image_format format;
  uint32_t flags;        /* QVD_DISK_...                                       */
  uint64_t di_id;        /* of an OS disk; otherwise 0                         */
  qvd_str path;          /* the OS disk's image as stored; the home's or data's
                            own disk or directory, made if it is missing       */
  qvd_str unpacked_path; /* of an OS disk: where prepare_image() put it        */
  qvd_str overlay_path;  /* of an OS disk: this VM's own changes               */
  qvd_str target;        /* where the VM is to see it: "/home"; may be empty   */
  uint64_t size_bytes;   /* to make it with; 0: as it is, or without a limit   */
} qvd_disk;

typedef struct qvd_address {
  uint32_t size;
  uint32_t prefix;   /* 24                         */
  qvd_str address;   /* IPv4 or IPv6, no prefix    */
  qvd_str gateway;   /* may be empty               */
} qvd_address;

typedef struct qvd_nic {
  uint32_t size;
  uint32_t mtu;          /* 0: the bridge's                                   */
  qvd_str mac;           /* "54:52:00:01:02:03"                               */
  qvd_array addresses;   /* of qvd_address; empty: the VM uses DHCP           */
  qvd_array dns;         /* of qvd_str                                        */
  qvd_str domain;
  qvd_str bridge;        /* on the node                                       */
  qvd_str host_device;   /* name for the node's end, at most 15 bytes; the node's
                            firewall rules count on it                        */
} qvd_nic;

typedef uint32_t qvd_device_kind;
enum { QVD_DEVICE_GPU = 0, QVD_DEVICE_USB = 1, QVD_DEVICE_PCI = 2, QVD_DEVICE_NODE = 3 };

typedef struct qvd_device {
  uint32_t size;
  qvd_device_kind kind;
  qvd_str address; /* "0000:01:00.0", "1-4.2", "/dev/fuse" */
  qvd_str model;   /* of a mediated device; mostly empty   */
} qvd_device;

/* Everything that a backend needs to run one VM. */
typedef struct qvd_vm {
  uint32_t size;
  uint32_t cpus;            /* 0: no limit                                    */
  uint64_t id;
  qvd_str uuid;             /* lower case, with dashes; never another VM's     */
  uint64_t incarnation;     /* grows with each start ordered; what reports an older
                               one is about the past                           */
  qvd_str name;
  uint64_t user_id;
  qvd_str user_name;
  uint64_t osf_id;
  qvd_str osf_name;
  uint64_t di_id;
  uint64_t memory_mib;
  uint64_t swap_mib;        /* beyond memory_mib; 0: none                      */
  uint32_t cpu_shares;      /* weight 1..10000; 0: 100, as everybody           */
  uint32_t agent_port;      /* where the agent is to listen                    */
  qvd_str cpuset;           /* "0-3,8"; empty: all                             */
  qvd_array disks;          /* of qvd_disk; the first is the OS                */
  qvd_array nics;           /* of qvd_nic                                      */
  qvd_array devices;        /* of qvd_device                                   */
  qvd_secret agent_secret;  /* to appear in the VM as /etc/qvd/agent.token, 0400 */
  qvd_str runtime_path;     /* the VM's own directory for sockets and logs on the
                               node, 0700, made by the core                    */
  qvd_array properties;     /* of qvd_property, its own and those it inherits  */
} qvd_vm;

/* A disk image (DI). */
typedef struct qvd_image {
  uint32_t size;
  qvd_image_format format;
  uint64_t di_id;
  uint64_t osf_id;
  qvd_str path;          /* as stored                                          */
  qvd_str unpacked_path; /* where a backend that unpacks is to put it, whole or not
                            at all                                             */
  qvd_str checksum;      /* "sha256:..." of the stored file; may be empty      */
  qvd_array properties;  /* of qvd_property                                    */
} qvd_image;

/* ---- What a backend hands back ----------------------------------------- */

/* Kind QVD_KIND_VM_STATUS: one VM on this node. */
typedef struct qvd_vm_status {
  uint32_t size;
  qvd_vm_state state;
  uint64_t vm_id;        /* 0 if only the uuid is known                        */
  qvd_str uuid;
  uint64_t incarnation;
  int32_t pid;           /* of what keeps it running; 0: none                  */
  int32_t exit_code;     /* where it has ended; where it is QVD_VM_PAUSED by itself,
                            errno of why, such as ENOSPC, or 0                 */
  int64_t since_ms;      /* since 1970, UTC; 0: not known                      */
  qvd_str sentence;      /* how it came to this ("the kernel ended it for want of
                            memory"); may be empty                             */
} qvd_vm_status;

/* Kind QVD_KIND_IMAGE_STATUS. */
typedef struct qvd_image_status {
  uint32_t size;
  uint32_t reserved;
  uint64_t di_id;
  qvd_str unpacked_path; /* what qvd_disk will say; the image's own path if nothing
                            had to be unpacked                                 */
  uint64_t size_bytes;   /* on this node's disk                                */
} qvd_image_status;

typedef uint32_t qvd_endpoint_kind;
enum { QVD_ENDPOINT_CONSOLE = 0, QVD_ENDPOINT_SERIAL = 1, QVD_ENDPOINT_VNC = 2,
       QVD_ENDPOINT_SPICE = 3 };

typedef uint32_t qvd_transport;
enum { QVD_TRANSPORT_UNIX = 0, /* stream socket; address is its path            */
       QVD_TRANSPORT_TCP = 1,
       QVD_TRANSPORT_PTY = 2   /* address is the terminal's path                */ };

/* Kind QVD_KIND_ENDPOINT. */
typedef struct qvd_endpoint {
  uint32_t size;
  qvd_endpoint_kind kind;
  qvd_transport transport;
  uint32_t port;         /* of TCP                                              */
  qvd_str address;
  qvd_secret password;   /* that the endpoint asks for; mostly empty            */
} qvd_endpoint;

/* Kind QVD_KIND_USAGE. */
typedef struct qvd_usage {
  uint32_t size;
  uint32_t reserved;
  double cpu_seconds;    /* since the VM's start                                */
  uint64_t memory_bytes; /* now                                                 */
  uint64_t disk_bytes;   /* of its own: overlay, home, data                     */
} qvd_usage;

/* Kind QVD_KIND_CAPACITY: the whole node, whoever uses it. */
typedef struct qvd_capacity {
  uint32_t size;
  uint32_t cpus;
  double total_memory_mib;
  double free_memory_mib; /* what new VMs could use, caches counted as free     */
  double idle_cpu;        /* 0 busy .. 1 idle, since the call before            */
  double cpu_mhz;         /* of all CPUs together; 0: unknown                   */
} qvd_capacity;

/* Kind QVD_KIND_SAVED: what save(), checkpoint() and snapshot() made. */
typedef struct qvd_saved {
  uint32_t size;
  uint32_t reserved;
  qvd_str path;
  uint64_t size_bytes;
} qvd_saved;

/* Which optional functions work here and now (a kernel or a tool may be missing). */
enum {
  QVD_CAN_PAUSE = 1 << 0,      /* and unpause */
  QVD_CAN_SAVE = 1 << 1,       /* and restore */
  QVD_CAN_CHECKPOINT = 1 << 2,
  QVD_CAN_SNAPSHOT = 1 << 3,
  QVD_CAN_CONSOLE = 1 << 4,
  QVD_CAN_RESET = 1 << 5,
  QVD_CAN_DEVICES = 1 << 6
};

/* ---- What ends by itself ----------------------------------------------- */

/* How a backend tells the core what nobody asked for. */
#define QVD_CORE_VM_EVENTS "qvd.draft.core.vm-events/1"
typedef struct qvd_vm_events_service {
  uint32_t size;
  uint32_t reserved;
  /* The VM has come into this state by itself: QVD_VM_STOPPED if it shut itself
   * down, QVD_VM_CRASHED with a sentence otherwise. uuid and incarnation must be
   * there. Copied; never waits, so it may be called while a call for the same VM is
   * under way. Repeating it does no harm, missing one is made good by the next
   * survey(). QVD_VM_PAUSED if it stands still and nobody ordered that. [any] */
  void (*report)(const qvd_core *core, const qvd_vm_status *status);
} qvd_vm_events_service;

/* ---- The backend ------------------------------------------------------- */

typedef struct qvd_hypervisor {
  QVD_INTERFACE_HEAD;

  /* QVD_CAN_... Null: 0. Any time after create(). [any] */
  uint64_t (*capabilities)(void *self);

  /* When the core has begun, before anything else: removes what a crash left behind
   * (mounts, devices, cgroups, half-unpacked images) and no VM needs. `keep` (of
   * qvd_str) are the uuids of the VMs that the database places on this node; what
   * runs is not touched. Optional. [worker] */
  qvd_status (*collect)(void *self, const qvd_array *keep, qvd_call *call);

  /* Hands back one qvd_vm_status for each VM of this backend that it finds on this
   * node, also ones that an earlier, killed core left running; from then on it
   * reports their end. VMs that do not run need not be named. [worker] */
  qvd_status (*survey)(void *self, qvd_call *call);

  /* Makes this node's copy of an image, ready for start(), and hands back its
   * qvd_image_status; if it is there already, at once. Says how far it is by
   * progress(). Optional: nothing to prepare. [worker] */
  qvd_status (*prepare_image)(void *self, const qvd_image *image, qvd_call *call);

  /* Removes that copy, or any tree that the backend made; no VM uses it. Optional. [worker] */
  qvd_status (*remove_image)(void *self, const qvd_image *image, qvd_call *call);

  /* Starts the VM and returns once it is on its way (the core itself waits for the
   * agent). QVD_OK if this incarnation runs; an older one is QVD_CONFLICT. Hands back
   * its qvd_vm_status. On failure nothing of it is left on the node. [worker] */
  qvd_status (*start)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Asks the VM to shut down and returns once it has been asked; its end is told by
   * report(). QVD_OK if it does not run. [worker] */
  qvd_status (*stop)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Ends it now and undoes on the node whatever start() did (mounts, devices,
   * cgroups), and returns when that is done. QVD_OK if nothing is left. Must not
   * fail because something is missing. [worker] */
  qvd_status (*destroy_vm)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Hands back its qvd_vm_status; QVD_VM_STOPPED if there is nothing. [worker] */
  qvd_status (*state)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Removes what the VM owns on disk: overlays, saved states, and, with its role among
   * vm->disks, home and data. It was deleted, maybe long ago: uuid may be empty. [worker] */
  qvd_status (*remove_vm)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Hands back one qvd_endpoint for each way to its screen or terminal that works
   * now. Optional: QVD_CAN_CONSOLE. [worker] */
  qvd_status (*console)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Hands back its qvd_usage. QVD_NOT_FOUND if it does not run. Optional. [worker] */
  qvd_status (*usage)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Hands back the node's qvd_capacity; the core asks the node's default backend
   * (vm.hypervisor) each 10 s. Optional: what is null, fails, takes longer than a
   * second or cannot be is measured by the core, from /proc. [worker] */
  qvd_status (*capacity)(void *self, qvd_call *call);

  /* Optional, by capabilities(). [worker] */
  qvd_status (*pause)(void *self, const qvd_vm *vm, qvd_call *call);
  qvd_status (*unpause)(void *self, const qvd_vm *vm, qvd_call *call);

  /* To disk and out of memory, and back; the second works after a reboot of the
   * node. save() hands back a qvd_saved; restore() gets its path. [worker] */
  qvd_status (*save)(void *self, const qvd_vm *vm, qvd_call *call);
  qvd_status (*restore)(void *self, const qvd_vm *vm, qvd_str path, qvd_call *call);

  /* Like save(), but it runs on. [worker] */
  qvd_status (*checkpoint)(void *self, const qvd_vm *vm, qvd_call *call);

  /* Its disks only, under a name; hands back a qvd_saved. [worker] */
  qvd_status (*snapshot)(void *self, const qvd_vm *vm, qvd_str name, qvd_call *call);

  /* Like its reset button. [worker] */
  qvd_status (*reset)(void *self, const qvd_vm *vm, qvd_call *call);
} qvd_hypervisor;

#ifdef __cplusplus
}
#endif
#endif
