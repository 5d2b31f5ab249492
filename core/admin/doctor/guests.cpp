// What a node needs for VMs of the hypervisor kvm.
#include "admin/doctor/checks.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace qvd::admin::doctor {

namespace {

constexpr const char* consequence = ": no VM of vm.hypervisor = kvm can start";

bool is_program(const std::string& path) {
    return ::access(path.c_str(), X_OK) == 0;
}

Diagnosis check_qemu(const Machine& machine) {
    const std::string program = machine.usr + "/bin/qemu-system-x86_64";
    if (is_program(program)) return good("program.qemu", program + " is there");
    return problem("program.qemu", "there is no program " + program + consequence,
                   "apt-get install qemu-system-x86");
}

// Only what is asked for at its usual place can be looked for.
Diagnosis check_libvirt(const std::string& uri, const Machine& machine) {
    constexpr const char* name = "program.libvirt";
    if (uri != "qemu:///system")
        return good(name, "libvirt is asked at vm.kvm.uri = " + uri + ", which only the node does");
    const std::array<std::string, 2> servers{machine.usr + "/sbin/libvirtd",
                                             machine.usr + "/sbin/virtqemud"};
    if (std::none_of(servers.begin(), servers.end(), is_program))
        return problem(name, std::string("libvirt is not installed") + consequence,
                       "apt-get install libvirt-daemon-system libvirt-daemon-driver-qemu");
    for (const char* const socket : {"/libvirt/libvirt-sock", "/libvirt/virtqemud-sock"})
        if (::access((machine.run + socket).c_str(), F_OK) == 0)
            return good(name, "libvirt listens at " + machine.run + socket);
    return problem(name, std::string("libvirt is installed but does not run") + consequence,
                   "systemctl start libvirtd");
}

Diagnosis check_processor(const Machine& machine) {
    if (::access((machine.dev + "/kvm").c_str(), F_OK) == 0)
        return good("kernel.kvm", "/dev/kvm is there");
    return warning("kernel.kvm", "/dev/kvm is missing: virtual machines are emulated, and slow",
                   "modprobe kvm_intel or kvm_amd; the firmware may have to allow it");
}

}  // namespace

Diagnoses check_guests(const config::View& view, const InUse& use, const Machine& machine) {
    if (!use.hypervisors.contains("kvm")) return {};
    return {check_qemu(machine),
            check_libvirt(plugin_text(view, "vm.kvm.uri", "qemu:///system"), machine),
            check_processor(machine)};
}

}  // namespace qvd::admin::doctor
