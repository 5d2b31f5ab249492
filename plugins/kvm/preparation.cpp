#include "preparation.hpp"

#include "files.hpp"
#include "qcow2.hpp"

#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string_view>

namespace qvd::kvm {

namespace {

// Of the files that a guest is told; NAME becomes opt/org.qvd/NAME.
constexpr std::array told{"agent.token", "network", "hostname"};

std::string told_file(const sdk::Vm& vm, const Settings& settings, std::string_view name) {
    return settings.folder_of(vm) + "/" + std::string(name);
}

std::string folder_of(const std::string& path) {
    return path.substr(0, path.rfind('/'));
}

bool is_overlaid(const sdk::Disk& disk) {
    return disk.role() == QVD_DISK_OS && !disk.read_only();
}

std::string serial_of(qvd_disk_role role) {
    return role == QVD_DISK_OS ? "os" : role == QVD_DISK_HOME ? "home" : "data";
}

Drive drive_of(const sdk::Disk& disk, unsigned index) {
    Drive drive;
    drive.path = disk.path();
    drive.format = format_name(disk.format(), drive.path);
    drive.serial = serial_of(disk.role());
    drive.index = index;
    drive.read_only = disk.read_only();
    if (is_overlaid(disk)) {
        drive.backing = std::exchange(drive.path, std::string(disk.overlay_path()));
        drive.backing_format = std::exchange(drive.format, "qcow2");
    }
    return drive;
}

// The OS is the first drive, home where vm.kvm.home.drive.index says, data in the gaps.
std::vector<Drive> drives_of(const sdk::Vm& vm, const VmSettings& own) {
    std::vector<Drive> drives;
    const bool has_home = disk_of(vm, QVD_DISK_HOME).has_value();
    unsigned next = 1;
    for (const sdk::Disk disk : vm.disks()) {
        unsigned index = 0;
        if (disk.role() == QVD_DISK_HOME) {
            index = own.home_index;
        } else if (disk.role() != QVD_DISK_OS) {
            if (has_home && next == own.home_index) ++next;
            index = next++;
        }
        drives.push_back(drive_of(disk, index));
    }
    return drives;
}

std::vector<Card> cards_of(const sdk::Vm& vm) {
    std::vector<Card> cards;
    for (const sdk::Nic nic : vm.nics())
        cards.push_back({std::string(nic.mac()), std::string(nic.bridge()),
                         std::string(nic.host_device()), nic.mtu()});
    return cards;
}

std::string network_text(const sdk::Vm& vm) {
    std::string text;
    for (const sdk::Nic nic : vm.nics()) {
        text += "mac=" + std::string(nic.mac()) + "\n";
        for (const sdk::Address address : nic.addresses()) {
            text += "address=" + std::string(address.address()) + "/" +
                    std::to_string(address.prefix()) + "\n";
            if (!address.gateway().empty())
                text += "gateway=" + std::string(address.gateway()) + "\n";
        }
        for (const std::string_view server : nic.dns()) text += "dns=" + std::string(server) + "\n";
        if (!nic.domain().empty()) text += "domain=" + std::string(nic.domain()) + "\n";
    }
    return text;
}

// What a host may be called: letters, digits and dashes.
std::string hostname_of(const sdk::Vm& vm) {
    constexpr std::size_t longest = 63;
    std::string name(vm.name().substr(0, longest));
    for (char& c : name) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!plain) c = '-';
    }
    return name.empty() ? "vm-" + std::to_string(vm.id()) : name;
}

std::string capture_file(const sdk::Vm& vm, const Settings& settings) {
    const std::time_t now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    std::array<char, 32> stamp{};
    std::strftime(stamp.data(), stamp.size(), "%Y-%m-%d-%H:%M:%S", &utc);
    return settings.captures + "/serial-" + std::to_string(vm.id()) + "-" + stamp.data() + ".txt";
}

void check_disk(const sdk::Disk& disk, const VmSettings& own) {
    const std::string path(disk.path());
    const std::string format = format_name(disk.format(), path);
    if (disk.role() == QVD_DISK_OS || exists(path)) check_image(path, format);
    if (disk.read_only() && !own.virtio && own.machine == "pc")
        throw sdk::Failure(QVD_UNSUPPORTED,
                           "an IDE disk cannot be read-only: let the OSF use an overlay, or set "
                           "vm.kvm.virtio = 1");
    if (is_overlaid(disk) && disk.overlay_path().empty())
        throw sdk::Failure(QVD_INVALID, "the VM's disk has no place for its changes");
}

void check_bridge(const std::string& bridge) {
    if (::if_nametoindex(bridge.c_str()) == 0)
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "there is no bridge " + bridge + " on this node (vm.network.bridge)");
}

void give(const std::string& path, unsigned user, const Owner& owner, unsigned mode) {
    if (::chown(path.c_str(), user, owner.group) == 0 && ::chmod(path.c_str(), mode) == 0) return;
    throw sdk::Failure(QVD_UNAVAILABLE, "cannot give " + path +
                                            " to libvirt's user for QEMU: " + std::strerror(errno));
}

}  // namespace

std::optional<sdk::Disk> disk_of(const sdk::Vm& vm, qvd_disk_role role) {
    for (const sdk::Disk disk : vm.disks())
        if (disk.role() == role) return disk;
    return std::nullopt;
}

std::string format_name(qvd_image_format format, const std::string& path) {
    if (format == QVD_FORMAT_QCOW2) return "qcow2";
    if (format == QVD_FORMAT_RAW) return "raw";
    throw sdk::Failure(QVD_UNSUPPORTED,
                       path + ": a virtual machine starts from a qcow2 or raw disk image");
}

std::string console_socket(const sdk::Vm& vm, const Settings& settings) {
    return settings.folder_of(vm) + "/console.sock";
}

std::string vnc_socket(const sdk::Vm& vm, const Settings& settings) {
    return settings.folder_of(vm) + "/qemu/vnc.sock";
}

void check_vm(const sdk::Vm& vm, const VmSettings& own) {
    if (!disk_of(vm, QVD_DISK_OS))
        throw sdk::Failure(QVD_INVALID, "the VM has no disk to start from");
    for (const sdk::Disk disk : vm.disks()) check_disk(disk, own);
    for (const sdk::Nic nic : vm.nics()) check_bridge(std::string(nic.bridge()));
    if (!vm.devices().empty())
        throw sdk::Failure(QVD_UNSUPPORTED,
                           "kvm hands no devices of the node on to virtual machines");
    for (const std::string& file : {own.kernel, own.initrd})
        if (!file.empty() && !exists(file))
            throw sdk::Failure(QVD_NOT_FOUND, "there is no " + file + " (vm.kvm.kernel, initrd)");
}

Machine plan_machine(const sdk::Vm& vm, const Settings& settings, const VmSettings& own) {
    Machine machine;
    machine.domain = settings.domain_of(vm.id());
    machine.uuid = vm.uuid();
    machine.title = vm.name();
    machine.identity = {vm.id(), vm.incarnation(), now_ms()};
    machine.memory_mib = vm.memory_mib();
    machine.cpus = own.cpus;
    machine.cpu_shares = vm.cpu_shares();
    machine.cpuset = vm.cpuset();
    machine.virtio = own.virtio;
    machine.type = own.machine;
    machine.kernel = own.kernel;
    machine.initrd = own.initrd;
    machine.command_line = own.command_line;
    machine.drives = drives_of(vm, own);
    machine.cards = cards_of(vm);
    for (const std::string_view name : told)
        machine.files.push_back(
            {"opt/org.qvd/" + std::string(name), told_file(vm, settings, name)});
    if (own.serial) machine.console_socket = console_socket(vm, settings);
    if (own.capture)
        machine.console_log = capture_file(vm, settings);
    else if (own.serial)
        machine.console_log = settings.folder_of(vm) + "/console.log";
    if (own.vnc) machine.vnc_socket = vnc_socket(vm, settings);
    machine.vnc_options = own.vnc_options;
    return machine;
}

void make_disks(const sdk::Vm& vm, const Settings& settings) {
    make_folders(settings.overlays, 0711);
    make_folders(settings.homes, 0711);
    for (const sdk::Disk disk : vm.disks()) {
        const std::string path(disk.path());
        const std::string overlay(disk.overlay_path());
        if (is_overlaid(disk)) {
            if (disk.persistent() && exists(overlay)) continue;
            make_folders(folder_of(overlay), 0711);
            const std::string format = format_name(disk.format(), path);
            make_qcow2({overlay, check_image(path, format), path, format});
        } else if (disk.role() != QVD_DISK_OS && !exists(path)) {
            if (disk.format() != QVD_FORMAT_QCOW2)
                throw sdk::Failure(QVD_UNSUPPORTED, path + ": a new disk is made as qcow2");
            make_folders(folder_of(path), 0711);
            make_qcow2({path, disk.size_bytes(), {}, {}});
        }
    }
}

void write_files(const sdk::Vm& vm, const Settings& settings, const Owner& owner) {
    const std::string folder = settings.folder_of(vm);
    make_folders(folder, 0700);
    make_folders(folder + "/qemu", 0700);
    make_folders(settings.captures, 0700);
    replace_file(told_file(vm, settings, "agent.token"), vm.agent_secret().reveal(), 0400);
    replace_file(told_file(vm, settings, "network"), network_text(vm), 0400);
    replace_file(told_file(vm, settings, "hostname"), hostname_of(vm) + "\n", 0400);
    if (owner.user == 0) return;
    // QEMU is not root: it reads what it is told, and makes the screen's socket in its own folder.
    give(folder_of(folder), 0, owner, 0710);
    give(folder, 0, owner, 0710);
    give(folder + "/qemu", owner.user, owner, 0700);
    for (const std::string_view name : told) give(told_file(vm, settings, name), 0, owner, 0440);
}

void remove_files(const sdk::Vm& vm, const Settings& settings) {
    for (const std::string_view name : told) remove_file(told_file(vm, settings, name));
    remove_file(console_socket(vm, settings));
    remove_file(vnc_socket(vm, settings));
}

void remove_overlay(const sdk::Vm& vm) {
    const auto os = disk_of(vm, QVD_DISK_OS);
    if (os && is_overlaid(*os) && !os->persistent() && !os->overlay_path().empty())
        remove_file(std::string(os->overlay_path()));
}

void remove_saved(std::uint64_t vm_id, const Settings& settings) {
    const std::string id = std::to_string(vm_id);
    const std::string ending = "-" + id + "-overlay.qcow2";
    for (const std::string& name : names_in(settings.overlays)) {
        const std::size_t dash = name.find('-');
        if (dash != std::string::npos && name.substr(dash) == ending)
            remove_file(settings.overlays + "/" + name);
    }
    remove_file(settings.memory_of(vm_id));
    const std::string checkpoint = id + "-checkpoint-";
    for (const std::string& name : names_in(settings.suspended))
        if (name.compare(0, checkpoint.size(), checkpoint) == 0)
            remove_folder(settings.suspended + "/" + name);
    const std::string snapshots = settings.snapshots + "/" + id;
    for (const std::string& name : names_in(snapshots)) remove_folder(snapshots + "/" + name);
    remove_folder(snapshots);
}

}  // namespace qvd::kvm
