// What a guest needs on the node before libvirt can start it: disks, and the files that tell it its
// name, network and agent token. And taking them away.
//
// The guest reads those files from QEMU's firmware configuration, root only, as
//     /sys/firmware/qemu_fw_cfg/by_name/opt/org.qvd/agent.token/raw
//     .../opt/org.qvd/hostname/raw
//     .../opt/org.qvd/network/raw     lines KEY=VALUE: mac, address (with prefix), gateway, dns,
//                                     domain; no address: the guest asks DHCP
#pragma once

#include "machine.hpp"
#include "orders.hpp"
#include "settings.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <optional>
#include <string>

namespace qvd::kvm {

// Throws sdk::Failure if a virtual machine cannot be what is asked for (a device, a bridge that is
// not there, a disk that is none); nothing has been done then.
void check_vm(const sdk::Vm& vm, const VmSettings& own);

// Everything but whether it is accelerated. Throws like the above.
Machine plan_machine(const sdk::Vm& vm, const Settings& settings, const VmSettings& own);

// Makes what is missing of its disks; the OS disk's overlay afresh, unless it is persistent.
void make_disks(const sdk::Vm& vm, const Settings& settings);
// Writes the files that the guest is told, readable to `owner`.
void write_files(const sdk::Vm& vm, const Settings& settings, const Owner& owner);
// Takes away what belongs to one run: those files and the sockets; what the console said stays.
void remove_files(const sdk::Vm& vm, const Settings& settings);
// Removes an overlay that is not kept between starts.
void remove_overlay(const sdk::Vm& vm);

// Removes all overlays, saved memory, checkpoints and snapshots of a VM.
void remove_saved(std::uint64_t vm_id, const Settings& settings);

// The first disk of this role, or nothing.
std::optional<sdk::Disk> disk_of(const sdk::Vm& vm, qvd_disk_role role);
// "qcow2", "raw"; throws sdk::Failure(QVD_UNSUPPORTED) for what no virtual machine has.
std::string format_name(qvd_image_format format, const std::string& path);

// ".../console.sock" of the VM's own folder, and the screen's.
std::string console_socket(const sdk::Vm& vm, const Settings& settings);
std::string vnc_socket(const sdk::Vm& vm, const Settings& settings);

}  // namespace qvd::kvm
