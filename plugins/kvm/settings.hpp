// What the configuration says to this backend: of the node, read once for an instance, and of one
// VM, whose own properties and those of its OSF, image and user count more.
#pragma once

#include <qvd/hypervisor_backend.hpp>

#include <cstdint>
#include <string>

namespace qvd::kvm {

struct Settings {
    // Throws sdk::Failure(QVD_INVALID) on a value that no guest could live with.
    explicit Settings(const sdk::Core& from);

    std::string uri;          // of libvirt
    std::string run;          // path.run/vm
    std::string overlays;     // what guests changed in their OS disks
    std::string homes;        // their home disks
    std::string suspended;    // the memory of guests that are saved to disk
    std::string snapshots;    // copies of disks
    std::string captures;     // what serial lines said
    std::string state;        // what this backend remembers between boots
    std::string name_prefix;  // a domain is called this and the VM's number
    sdk::Core core;

    [[nodiscard]] std::string domain_of(std::uint64_t vm_id) const {
        return name_prefix + std::to_string(vm_id);
    }
    // The VM's own folder: what the core says, or the one that it would say.
    [[nodiscard]] std::string folder_of(const sdk::Vm& vm) const {
        return vm.runtime_path().empty() ? run + "/" + std::to_string(vm.id())
                                         : std::string(vm.runtime_path());
    }
    [[nodiscard]] std::string memory_of(std::uint64_t vm_id) const {
        return suspended + "/" + std::to_string(vm_id) + ".memory";
    }
};

// The keys that a VM may answer for itself.
struct VmSettings {
    // Throws sdk::Failure(QVD_INVALID) with the key's name on a value that it cannot have.
    VmSettings(const Settings& settings, const sdk::Vm& vm);

    std::string accelerator;  // "auto", "kvm", "tcg"
    std::string machine;      // "pc", "q35"
    std::uint32_t cpus = 0;
    bool virtio = true;
    unsigned home_index = 1;  // 1: the second drive
    std::string kernel;       // on the node; empty: the image's own boot loader
    std::string initrd;
    std::string command_line;
    bool vnc = false;
    std::string vnc_options;
    bool serial = true;
    bool capture = false;
};

}  // namespace qvd::kvm

// The keys that these read, for the manifest.
#define QVD_KVM_KEYS                                                                               \
    ::qvd::sdk::key("vm.kvm.uri", QVD_TEXT, "qemu:///system",                                      \
                    "where libvirt is reached that runs the virtual machines"),                    \
        ::qvd::sdk::key("vm.kvm.accel", QVD_TEXT, "auto",                                          \
                        "how virtual machines are run: kvm, by the processor; tcg, emulated, "     \
                        "many times slower; auto: by what a guest of two seconds proved",          \
                        "auto|kvm|tcg"),                                                           \
        ::qvd::sdk::key("vm.kvm.machine", QVD_TEXT, "pc", "the machine that QEMU pretends to be",  \
                        "pc|q35"),                                                                 \
        ::qvd::sdk::key("vm.kvm.virtio", QVD_BOOLEAN, "1",                                         \
                        "whether disks and network are virtio's; 0: an IDE (q35: SATA) disk and "  \
                        "an Intel e1000, for systems without its drivers"),                        \
        ::qvd::sdk::key("vm.kvm.home.drive.index", QVD_INTEGER, "1",                               \
                        "the home disk's number: 1 is /dev/vdb", "1..25"),                         \
        ::qvd::sdk::key("vm.kvm.kernel", QVD_TEXT, "",                                             \
                        "a Linux kernel on the node to start instead of the image's boot loader; " \
                        "vmlinux, if uncompressed, starts fastest"),                               \
        ::qvd::sdk::key("vm.kvm.initrd", QVD_TEXT, "", "its initial memory disk"),                 \
        ::qvd::sdk::key("vm.kvm.cmdline", QVD_TEXT, "", "its command line"),                       \
        ::qvd::sdk::key("vm.vnc.redirect", QVD_BOOLEAN, "0",                                       \
                        "whether a virtual machine has a screen, shown by VNC on a unix socket"),  \
        ::qvd::sdk::key("vm.vnc.opts", QVD_TEXT, "",                                               \
                        "options of that VNC server, comma-separated: share=allow-exclusive, "     \
                        "force-shared or ignore; keymap=LAYOUT; power-control=on or off"),         \
        ::qvd::sdk::key("vm.serial.redirect", QVD_BOOLEAN, "1",                                    \
                        "whether a virtual machine has a serial line, its console"),               \
        ::qvd::sdk::key("vm.serial.capture", QVD_BOOLEAN, "0",                                     \
                        "whether what it says there is kept in path.serial.captures"),             \
        ::qvd::sdk::key("path.serial.captures", QVD_PATH, "${path.tmp}/qvd",                       \
                        "where vm.serial.capture keeps it, one file for each start"),              \
        ::qvd::sdk::key("path.storage.overlays", QVD_PATH, "${path.storage.root}/overlays",        \
                        "what VMs changed in their disks (kvm)"),                                  \
        ::qvd::sdk::key("path.storage.homes", QVD_PATH, "${path.storage.root}/homes",              \
                        "the users' home disks (kvm)"),                                            \
        ::qvd::sdk::key("path.storage.suspended", QVD_PATH, "${path.storage.root}/suspended",      \
                        "the memory of virtual machines that are suspended to disk"),              \
        ::qvd::sdk::key("path.storage.snapshots", QVD_PATH, "${path.storage.root}/snapshots",      \
                        "copies of virtual machines' disks"),                                      \
        ::qvd::sdk::key("path.kvm.state", QVD_PATH, "/var/lib/qvd/kvm",                            \
                        "what the node remembers of its processor (vm.kvm.accel = auto)", nullptr, \
                        QVD_KEY_FILE_ONLY),                                                        \
        ::qvd::sdk::key("path.run", QVD_PATH, "/run/qvd",                                          \
                        "sockets, pid files and what else lasts until the next boot", nullptr,     \
                        QVD_KEY_FILE_ONLY),                                                        \
        ::qvd::sdk::key("internal.vm.kvm.name.prefix", QVD_TEXT, "qvd-",                           \
                        "libvirt's domains are named by this and the VM's number")
