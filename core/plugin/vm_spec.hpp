// What the core tells a hypervisor backend about a VM and what it hears back: the structs of
// sdk/include/qvd/hypervisor.h as owned C++ values. Units and meanings are those of the header.
#pragma once

#include "base/id.hpp"
#include "base/secret.hpp"
#include "model/vm.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace qvd::plugin {

enum class ImageFormat : std::uint32_t { raw = 0, qcow2 = 1, tar = 2, directory = 3 };
enum class DiskRole : std::uint32_t { os = 0, home = 1, data = 2 };

struct DiskSpec {
    DiskRole role = DiskRole::os;
    ImageFormat format = ImageFormat::tar;
    bool read_only = false;
    bool persistent = false;  // of an OS disk: the overlay is kept between starts
    DiId di;                  // of an OS disk
    std::string path;
    std::string unpacked_path;
    std::string overlay_path;
    std::string target;
    std::uint64_t size_bytes = 0;
};

struct NicAddress {
    std::string address;
    std::uint32_t prefix = 24;
    std::string gateway;
};

struct NicSpec {
    std::string mac;
    std::vector<NicAddress> addresses;  // empty: the VM uses DHCP
    std::vector<std::string> dns;
    std::string domain;
    std::string bridge;
    std::string host_device;
    std::uint32_t mtu = 0;
};

struct VmSpec {
    VmId vm;
    std::string uuid;
    std::int64_t incarnation = 0;
    std::string name;
    UserId user;
    std::string user_name;
    OsfId osf;
    std::string osf_name;
    DiId di;
    std::uint32_t cpus = 0;
    std::uint64_t memory_mib = 0;
    std::uint64_t swap_mib = 0;
    std::uint32_t cpu_shares = 0;
    std::uint32_t agent_port = 3030;
    std::string cpuset;
    std::vector<DiskSpec> disks;  // the first is the OS
    std::vector<NicSpec> nics;
    Secret agent_token;
    std::string runtime_path;
    Properties properties;
};

struct ImageSpec {
    DiId di;
    OsfId osf;
    ImageFormat format = ImageFormat::tar;
    std::string path;
    std::string unpacked_path;
    std::string checksum;
};

enum class BackendState : std::uint32_t {
    stopped = 0,
    starting = 1,
    running = 2,
    stopping = 3,
    unknown = 4,
    paused = 5,
    suspended = 6,
    crashed = 7
};

struct VmStatus {
    VmId vm;  // 0 if the backend only knows the uuid
    std::string uuid;
    std::int64_t incarnation = 0;
    BackendState state = BackendState::unknown;
    int pid = 0;
    int exit_code = 0;
    std::int64_t since_ms = 0;  // since 1970; 0: not known
    std::string sentence;
};

struct ImageStatus {
    DiId di;
    std::string unpacked_path;
    std::uint64_t size_bytes = 0;
};

struct ConsoleEndpoint {
    std::string kind;       // console, serial, vnc, spice
    std::string transport;  // unix, tcp, pty
    std::string address;
    std::uint32_t port = 0;
};

struct VmUsageStatus {
    double cpu_seconds = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;
};

struct NodeCapacity {
    std::uint32_t cpus = 0;
    double total_memory_mib = 0;
    double free_memory_mib = 0;
    double idle_cpu = 0;
    double cpu_mhz = 0;
};

// What save(), checkpoint() and snapshot() made.
struct SavedVm {
    std::string path;
    std::uint64_t size_bytes = 0;
};

}  // namespace qvd::plugin
