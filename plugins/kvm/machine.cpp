#include "machine.hpp"

#include "xml.hpp"

#include <qvd/plugin.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace qvd::kvm {

namespace {

// libvirt's weight of everybody is 1024, ours is 100.
std::uint32_t libvirt_shares(std::uint32_t shares) {
    constexpr std::uint64_t everybody = 1024;
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(2, shares * everybody / 100));
}

Xml memory_of(const Machine& machine) {
    return Xml("memory").with("unit", "MiB").says(std::to_string(machine.memory_mib));
}

Xml boot_of(const Machine& machine) {
    Xml os("os");
    os.add(Xml("type").with("arch", "x86_64").with("machine", machine.type).says("hvm"));
    if (machine.kernel.empty()) return os.add(Xml("boot").with("dev", "hd"));
    os.add("kernel", machine.kernel);
    if (!machine.initrd.empty()) os.add("initrd", machine.initrd);
    if (!machine.command_line.empty()) os.add("cmdline", machine.command_line);
    return os;
}

std::string disk_bus(const Machine& machine) {
    if (machine.virtio) return "virtio";
    return machine.type == "pc" ? "ide" : "sata";
}

// The whole chain is told: nothing that an image's header says makes QEMU open another file.
Xml disk_of(const Machine& machine, const Drive& drive) {
    Xml disk("disk");
    disk.with("type", "file").with("device", "disk");
    Xml driver("driver");
    driver.with("name", "qemu").with("type", drive.format);
    if (machine.virtio) driver.with("discard", "unmap");
    disk.add(driver);
    disk.add(Xml("source").with("file", drive.path));
    if (drive.backing.empty()) {
        disk.add(Xml("backingStore"));
    } else {
        Xml backing("backingStore");
        backing.with("type", "file");
        backing.add(Xml("format").with("type", drive.backing_format));
        backing.add(Xml("source").with("file", drive.backing));
        backing.add(Xml("backingStore"));
        disk.add(backing);
    }
    disk.add(
        Xml("target").with("dev", drive_name(machine, drive.index)).with("bus", disk_bus(machine)));
    if (!drive.serial.empty()) disk.add("serial", drive.serial);
    if (drive.read_only) disk.add(Xml("readonly"));
    return disk;
}

Xml card_of(const Machine& machine, const Card& card) {
    Xml interface("interface");
    interface.with("type", "bridge");
    interface.add(Xml("mac").with("address", card.mac));
    interface.add(Xml("source").with("bridge", card.bridge));
    if (!card.device.empty()) interface.add(Xml("target").with("dev", card.device));
    interface.add(Xml("model").with("type", machine.virtio ? "virtio" : "e1000"));
    if (card.mtu != 0) interface.add(Xml("mtu").with("size", std::to_string(card.mtu)));
    return interface;
}

Xml serial_of(const Machine& machine) {
    Xml serial("serial");
    const bool socket = !machine.console_socket.empty();
    Xml source("source");
    if (socket) {
        serial.with("type", "unix");
        source.with("mode", "bind").with("path", machine.console_socket);
    } else {
        serial.with("type", "file");
        source.with("path", machine.console_log);
    }
    serial.add(source);
    if (socket && !machine.console_log.empty())
        serial.add(Xml("log").with("file", machine.console_log).with("append", "on"));
    serial.add(Xml("target").with("port", "0"));
    return serial;
}

// What QEMU calls an option, and what libvirt does.
struct VncOption {
    std::string_view option;
    std::string_view attribute;
    std::string_view value;
};
constexpr std::array vnc_options{
    VncOption{"share=allow-exclusive", "sharePolicy", "allow-exclusive"},
    VncOption{"share=force-shared", "sharePolicy", "force-shared"},
    VncOption{"share=ignore", "sharePolicy", "ignore"},
    VncOption{"power-control=on", "powerControl", "yes"},
    VncOption{"power-control=off", "powerControl", "no"}};

void apply_vnc_option(Xml& graphics, const std::string& option) {
    for (const VncOption& known : vnc_options)
        if (option == known.option) {
            graphics.with(known.attribute, known.value);
            return;
        }
    constexpr std::string_view keymap = "keymap=";
    if (option.size() <= keymap.size() || option.compare(0, keymap.size(), keymap) != 0)
        throw sdk::Failure(QVD_INVALID,
                           "vm.vnc.opts: \"" + option +
                               "\" is none of share=allow-exclusive, share=force-shared, "
                               "share=ignore, keymap=LAYOUT, power-control=on, power-control=off");
    graphics.with("keymap", std::string_view(option).substr(keymap.size()));
}

// Comma-separated.
void apply_vnc_options(Xml& graphics, const std::string& options) {
    for (std::size_t at = 0; at < options.size();) {
        const std::size_t end = std::min(options.find(',', at), options.size());
        const std::string option = options.substr(at, end - at);
        if (!option.empty()) apply_vnc_option(graphics, option);
        at = end + 1;
    }
}

Xml devices_of(const Machine& machine) {
    Xml devices("devices");
    for (const Drive& drive : machine.drives) devices.add(disk_of(machine, drive));
    for (const Card& card : machine.cards) devices.add(card_of(machine, card));
    devices.add(Xml("controller").with("type", "usb").with("model", "none"));
    if (!machine.console_socket.empty() || !machine.console_log.empty())
        devices.add(serial_of(machine));
    if (!machine.vnc_socket.empty()) {
        Xml graphics("graphics");
        graphics.with("type", "vnc").with("socket", machine.vnc_socket);
        apply_vnc_options(graphics, machine.vnc_options);
        devices.add(graphics);
        devices.add(Xml("video").add(Xml("model").with("type", "vga")));
    }
    // A guest's kernel that panics says so by this one.
    devices.add(Xml("panic").with("model", "isa"));
    if (machine.virtio) {
        Xml random("rng");
        random.with("model", "virtio");
        random.add(Xml("backend").with("model", "random").says("/dev/urandom"));
        devices.add(random);
        // What the guest does not use goes back to the node.
        devices.add(Xml("memballoon").with("model", "virtio").with("freePageReporting", "on"));
    } else {
        devices.add(Xml("memballoon").with("model", "none"));
    }
    return devices;
}

Xml told_as(const Identity& identity, std::string_view name) {
    Xml vm(name);
    vm.with("id", std::to_string(identity.vm_id));
    vm.with("incarnation", std::to_string(identity.incarnation));
    vm.with("since", std::to_string(identity.since_ms));
    return vm;
}

std::optional<std::string_view> attribute_of(std::string_view element, std::string_view name) {
    const std::string before = " " + std::string(name) + "=";
    const std::size_t at = element.find(before);
    if (at == std::string_view::npos) return std::nullopt;
    const std::size_t begin = at + before.size();
    if (begin >= element.size()) return std::nullopt;
    const std::size_t end = element.find(element[begin], begin + 1);
    if (end == std::string_view::npos) return std::nullopt;
    return element.substr(begin + 1, end - begin - 1);
}

template <class Number>
bool read_number(std::string_view element, std::string_view name, Number& into) {
    const auto text = attribute_of(element, name);
    return text &&
           std::from_chars(text->data(), text->data() + text->size(), into).ec == std::errc();
}

}  // namespace

std::string drive_name(const Machine& machine, unsigned index) {
    const char* stem = machine.virtio ? "vd" : machine.type == "pc" ? "hd" : "sd";
    return stem + std::string(1, static_cast<char>('a' + index));
}

std::string Identity::element() const {
    return told_as(*this, "vm").text();
}

std::optional<Identity> Identity::from(std::string_view element) {
    Identity found;
    if (!read_number(element, "id", found.vm_id) ||
        !read_number(element, "incarnation", found.incarnation) || found.vm_id == 0)
        return std::nullopt;
    read_number(element, "since", found.since_ms);
    return found;
}

std::string domain_xml(const Machine& machine) {
    Xml domain("domain");
    domain.with("type", machine.accelerated ? "kvm" : "qemu");
    domain.add("name", machine.domain).add("uuid", machine.uuid);
    if (!machine.title.empty()) domain.add("title", machine.title);
    Xml vm = told_as(machine.identity, "qvd:vm");
    vm.with("xmlns:qvd", identity_namespace);
    domain.add(Xml("metadata").add(vm));
    domain.add(memory_of(machine));
    Xml cpus("vcpu");
    if (!machine.cpuset.empty()) cpus.with("cpuset", machine.cpuset);
    domain.add(cpus.says(std::to_string(machine.cpus)));
    if (machine.cpu_shares != 0)
        domain.add(
            Xml("cputune").add("shares", std::to_string(libvirt_shares(machine.cpu_shares))));
    if (!machine.files.empty()) {
        Xml told("sysinfo");
        told.with("type", "fwcfg");
        for (const GuestFile& file : machine.files)
            told.add(Xml("entry").with("name", file.name).with("file", file.path));
        domain.add(told);
    }
    domain.add(boot_of(machine));
    domain.add(Xml("features").add(Xml("acpi")).add(Xml("apic")));
    domain.add(Xml("cpu").with("mode", machine.accelerated ? "host-passthrough" : "maximum"));
    domain.add(Xml("clock").with("offset", "utc"));
    domain.add("on_poweroff", "destroy").add("on_reboot", "restart").add("on_crash", "destroy");
    domain.add(devices_of(machine));
    return domain.text();
}

}  // namespace qvd::kvm
