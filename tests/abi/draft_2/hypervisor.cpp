// Draft 2 of qvd/hypervisor.h, as it is: every size, offset, type and value. A change of the header
// without a new draft number (QVD_ABI_DRAFT), and a new folder of these files, does not compile.
#include "tests/abi/layout.hpp"

#include <qvd/hypervisor.h>

ID(QVD_HYPERVISOR, "qvd.draft.hypervisor/1");
ID(QVD_CORE_VM_EVENTS, "qvd.draft.core.vm-events/1");
ALIAS(qvd_vm_state, uint32_t);
VALUE(QVD_VM_STOPPED, 0);
VALUE(QVD_VM_STARTING, 1);
VALUE(QVD_VM_RUNNING, 2);
VALUE(QVD_VM_STOPPING, 3);
VALUE(QVD_VM_UNKNOWN, 4);
VALUE(QVD_VM_PAUSED, 5);
VALUE(QVD_VM_SUSPENDED, 6);
VALUE(QVD_VM_CRASHED, 7);
ALIAS(qvd_image_format, uint32_t);
VALUE(QVD_FORMAT_RAW, 0);
VALUE(QVD_FORMAT_QCOW2, 1);
VALUE(QVD_FORMAT_TAR, 2);
VALUE(QVD_FORMAT_DIRECTORY, 3);
ALIAS(qvd_disk_role, uint32_t);
VALUE(QVD_DISK_OS, 0);
VALUE(QVD_DISK_HOME, 1);
VALUE(QVD_DISK_DATA, 2);
VALUE(QVD_DISK_READ_ONLY, 1);
VALUE(QVD_DISK_PERSISTENT, 2);

SIZE(qvd_disk, 96);
FIELD(qvd_disk, size, 0, uint32_t);
FIELD(qvd_disk, role, 4, qvd_disk_role);
FIELD(qvd_disk, format, 8, qvd_image_format);
FIELD(qvd_disk, flags, 12, uint32_t);
FIELD(qvd_disk, di_id, 16, uint64_t);
FIELD(qvd_disk, path, 24, qvd_str);
FIELD(qvd_disk, unpacked_path, 40, qvd_str);
FIELD(qvd_disk, overlay_path, 56, qvd_str);
FIELD(qvd_disk, target, 72, qvd_str);
FIELD(qvd_disk, size_bytes, 88, uint64_t);

SIZE(qvd_address, 40);
FIELD(qvd_address, size, 0, uint32_t);
FIELD(qvd_address, prefix, 4, uint32_t);
FIELD(qvd_address, address, 8, qvd_str);
FIELD(qvd_address, gateway, 24, qvd_str);

SIZE(qvd_nic, 120);
FIELD(qvd_nic, size, 0, uint32_t);
FIELD(qvd_nic, mtu, 4, uint32_t);
FIELD(qvd_nic, mac, 8, qvd_str);
FIELD(qvd_nic, addresses, 24, qvd_array);
FIELD(qvd_nic, dns, 48, qvd_array);
FIELD(qvd_nic, domain, 72, qvd_str);
FIELD(qvd_nic, bridge, 88, qvd_str);
FIELD(qvd_nic, host_device, 104, qvd_str);
ALIAS(qvd_device_kind, uint32_t);
VALUE(QVD_DEVICE_GPU, 0);
VALUE(QVD_DEVICE_USB, 1);
VALUE(QVD_DEVICE_PCI, 2);
VALUE(QVD_DEVICE_NODE, 3);

SIZE(qvd_device, 40);
FIELD(qvd_device, size, 0, uint32_t);
FIELD(qvd_device, kind, 4, qvd_device_kind);
FIELD(qvd_device, address, 8, qvd_str);
FIELD(qvd_device, model, 24, qvd_str);

SIZE(qvd_vm, 280);
FIELD(qvd_vm, size, 0, uint32_t);
FIELD(qvd_vm, cpus, 4, uint32_t);
FIELD(qvd_vm, id, 8, uint64_t);
FIELD(qvd_vm, uuid, 16, qvd_str);
FIELD(qvd_vm, incarnation, 32, uint64_t);
FIELD(qvd_vm, name, 40, qvd_str);
FIELD(qvd_vm, user_id, 56, uint64_t);
FIELD(qvd_vm, user_name, 64, qvd_str);
FIELD(qvd_vm, osf_id, 80, uint64_t);
FIELD(qvd_vm, osf_name, 88, qvd_str);
FIELD(qvd_vm, di_id, 104, uint64_t);
FIELD(qvd_vm, memory_mib, 112, uint64_t);
FIELD(qvd_vm, swap_mib, 120, uint64_t);
FIELD(qvd_vm, cpu_shares, 128, uint32_t);
FIELD(qvd_vm, agent_port, 132, uint32_t);
FIELD(qvd_vm, cpuset, 136, qvd_str);
FIELD(qvd_vm, disks, 152, qvd_array);
FIELD(qvd_vm, nics, 176, qvd_array);
FIELD(qvd_vm, devices, 200, qvd_array);
FIELD(qvd_vm, agent_secret, 224, qvd_secret);
FIELD(qvd_vm, runtime_path, 240, qvd_str);
FIELD(qvd_vm, properties, 256, qvd_array);

SIZE(qvd_image, 96);
FIELD(qvd_image, size, 0, uint32_t);
FIELD(qvd_image, format, 4, qvd_image_format);
FIELD(qvd_image, di_id, 8, uint64_t);
FIELD(qvd_image, osf_id, 16, uint64_t);
FIELD(qvd_image, path, 24, qvd_str);
FIELD(qvd_image, unpacked_path, 40, qvd_str);
FIELD(qvd_image, checksum, 56, qvd_str);
FIELD(qvd_image, properties, 72, qvd_array);

SIZE(qvd_vm_status, 72);
FIELD(qvd_vm_status, size, 0, uint32_t);
FIELD(qvd_vm_status, state, 4, qvd_vm_state);
FIELD(qvd_vm_status, vm_id, 8, uint64_t);
FIELD(qvd_vm_status, uuid, 16, qvd_str);
FIELD(qvd_vm_status, incarnation, 32, uint64_t);
FIELD(qvd_vm_status, pid, 40, int32_t);
FIELD(qvd_vm_status, exit_code, 44, int32_t);
FIELD(qvd_vm_status, since_ms, 48, int64_t);
FIELD(qvd_vm_status, sentence, 56, qvd_str);

SIZE(qvd_image_status, 40);
FIELD(qvd_image_status, size, 0, uint32_t);
FIELD(qvd_image_status, reserved, 4, uint32_t);
FIELD(qvd_image_status, di_id, 8, uint64_t);
FIELD(qvd_image_status, unpacked_path, 16, qvd_str);
FIELD(qvd_image_status, size_bytes, 32, uint64_t);
ALIAS(qvd_endpoint_kind, uint32_t);
VALUE(QVD_ENDPOINT_CONSOLE, 0);
VALUE(QVD_ENDPOINT_SERIAL, 1);
VALUE(QVD_ENDPOINT_VNC, 2);
VALUE(QVD_ENDPOINT_SPICE, 3);
ALIAS(qvd_transport, uint32_t);
VALUE(QVD_TRANSPORT_UNIX, 0);
VALUE(QVD_TRANSPORT_TCP, 1);
VALUE(QVD_TRANSPORT_PTY, 2);

SIZE(qvd_endpoint, 48);
FIELD(qvd_endpoint, size, 0, uint32_t);
FIELD(qvd_endpoint, kind, 4, qvd_endpoint_kind);
FIELD(qvd_endpoint, transport, 8, qvd_transport);
FIELD(qvd_endpoint, port, 12, uint32_t);
FIELD(qvd_endpoint, address, 16, qvd_str);
FIELD(qvd_endpoint, password, 32, qvd_secret);

SIZE(qvd_usage, 32);
FIELD(qvd_usage, size, 0, uint32_t);
FIELD(qvd_usage, reserved, 4, uint32_t);
FIELD(qvd_usage, cpu_seconds, 8, double);
FIELD(qvd_usage, memory_bytes, 16, uint64_t);
FIELD(qvd_usage, disk_bytes, 24, uint64_t);

SIZE(qvd_capacity, 40);
FIELD(qvd_capacity, size, 0, uint32_t);
FIELD(qvd_capacity, cpus, 4, uint32_t);
FIELD(qvd_capacity, total_memory_mib, 8, double);
FIELD(qvd_capacity, free_memory_mib, 16, double);
FIELD(qvd_capacity, idle_cpu, 24, double);
FIELD(qvd_capacity, cpu_mhz, 32, double);

SIZE(qvd_saved, 32);
FIELD(qvd_saved, size, 0, uint32_t);
FIELD(qvd_saved, reserved, 4, uint32_t);
FIELD(qvd_saved, path, 8, qvd_str);
FIELD(qvd_saved, size_bytes, 24, uint64_t);
VALUE(QVD_CAN_PAUSE, 1);
VALUE(QVD_CAN_SAVE, 2);
VALUE(QVD_CAN_CHECKPOINT, 4);
VALUE(QVD_CAN_SNAPSHOT, 8);
VALUE(QVD_CAN_CONSOLE, 16);
VALUE(QVD_CAN_RESET, 32);
VALUE(QVD_CAN_DEVICES, 64);

SIZE(qvd_vm_events_service, 16);
FIELD(qvd_vm_events_service, size, 0, uint32_t);
FIELD(qvd_vm_events_service, reserved, 4, uint32_t);
FIELD(qvd_vm_events_service, report, 8, void (*)(const qvd_core*, const qvd_vm_status*));

SIZE(qvd_hypervisor, 192);
FIELD(qvd_hypervisor, size, 0, uint32_t);
FIELD(qvd_hypervisor, threading, 4, qvd_threading);
FIELD(qvd_hypervisor, create, 8, qvd_status (*)(const qvd_core*, qvd_call*, void**));
FIELD(qvd_hypervisor, destroy, 16, void (*)(void*));
FIELD(qvd_hypervisor, cancel, 24, void (*)(void*, uint64_t));
FIELD(qvd_hypervisor, capabilities, 32, uint64_t (*)(void*));
FIELD(qvd_hypervisor, collect, 40, qvd_status (*)(void*, const qvd_array*, qvd_call*));
FIELD(qvd_hypervisor, survey, 48, qvd_status (*)(void*, qvd_call*));
FIELD(qvd_hypervisor, prepare_image, 56, qvd_status (*)(void*, const qvd_image*, qvd_call*));
FIELD(qvd_hypervisor, remove_image, 64, qvd_status (*)(void*, const qvd_image*, qvd_call*));
FIELD(qvd_hypervisor, start, 72, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, stop, 80, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, destroy_vm, 88, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, state, 96, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, remove_vm, 104, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, console, 112, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, usage, 120, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, capacity, 128, qvd_status (*)(void*, qvd_call*));
FIELD(qvd_hypervisor, pause, 136, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, unpause, 144, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, save, 152, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, restore, 160, qvd_status (*)(void*, const qvd_vm*, qvd_str, qvd_call*));
FIELD(qvd_hypervisor, checkpoint, 168, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
FIELD(qvd_hypervisor, snapshot, 176, qvd_status (*)(void*, const qvd_vm*, qvd_str, qvd_call*));
FIELD(qvd_hypervisor, reset, 184, qvd_status (*)(void*, const qvd_vm*, qvd_call*));
