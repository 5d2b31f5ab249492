// A virtual machine as libvirt is told it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::kvm {

// Which VM a domain is, kept in its metadata: whoever finds it knows.
struct Identity {
    std::uint64_t vm_id = 0;
    std::uint64_t incarnation = 0;
    std::int64_t since_ms = 0;  // since 1970, UTC

    [[nodiscard]] std::string element() const;  // as XML, for libvirt to put a namespace to
    // Nothing if it is not such an element.
    static std::optional<Identity> from(std::string_view element);
};
inline constexpr const char* identity_namespace = "urn:qvd:vm:1";

struct Drive {
    std::string path;
    std::string format;          // "raw", "qcow2"
    std::string backing;         // empty: none
    std::string backing_format;  // of `backing`
    std::string serial;          // by which the guest may find it
    unsigned index = 0;          // 0 is vda
    bool read_only = false;
};

struct Card {
    std::string mac;
    std::string bridge;
    std::string device;  // the node's end; may be empty
    std::uint32_t mtu = 0;
};

// What the guest reads as /sys/firmware/qemu_fw_cfg/by_name/NAME/raw, root only.
struct GuestFile {
    std::string name;  // "opt/org.qvd/hostname"
    std::string path;  // on the node
};

struct Machine {
    std::string domain;  // libvirt's name of it
    std::string uuid;
    std::string title;
    Identity identity;
    std::uint64_t memory_mib = 0;
    std::uint32_t cpus = 1;
    std::uint32_t cpu_shares = 0;  // 1..10000, 100 is everybody's; 0: that
    std::string cpuset;
    bool accelerated = false;
    bool virtio = true;
    std::string type = "pc";
    std::string kernel;
    std::string initrd;
    std::string command_line;
    std::vector<Drive> drives;
    std::vector<Card> cards;
    std::vector<GuestFile> files;
    std::string console_socket;  // of the serial line; empty: none
    std::string console_log;     // what is said there; empty: not kept
    std::string vnc_socket;      // empty: no screen
    std::string vnc_options;
};

// What libvirt calls it: "vda", "hdb".
std::string drive_name(const Machine& machine, unsigned index);
// Throws sdk::Failure(QVD_INVALID) on what cannot be said.
std::string domain_xml(const Machine& machine);

}  // namespace qvd::kvm
