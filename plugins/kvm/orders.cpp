#include "orders.hpp"

#include "processes.hpp"
#include "xml.hpp"

#include <libvirt/virterror.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace qvd::kvm {

namespace {

struct FreeText {
    void operator()(char* text) const { std::free(text); }  // NOLINT: libvirt's
};
using Text = std::unique_ptr<char, FreeText>;

// Null if it does not run.
Domain look_up(const Order& order, const std::string& uuid) {
    Domain domain(virDomainLookupByUUIDString(order.connection, uuid.c_str()));
    if (!domain && !is_missing()) fail_by_libvirt("ask for the VM");
    if (domain && virDomainIsActive(domain.get()) == 0) domain.reset();
    return domain;
}

Domain running(const Order& order, const std::string& uuid) {
    Domain domain = look_up(order, uuid);
    if (!domain) throw sdk::Failure(QVD_NOT_FOUND, "the VM does not run here");
    return domain;
}

struct State {
    qvd_vm_state state = QVD_VM_UNKNOWN;
    std::string sentence;
    int error = 0;  // errno
};

// The file that is the guest's disk of this name; the name, if that is not to be found.
std::string file_of(virDomainPtr domain, const std::string& disk) {
    const Text told(virDomainGetXMLDesc(domain, 0));
    const std::string_view xml = told ? told.get() : "";
    constexpr std::string_view before = "<source file='";
    const std::size_t target = xml.find("<target dev='" + disk + "'");
    const std::size_t source =
        target == std::string_view::npos ? target : xml.rfind(before, target);
    if (source == std::string_view::npos) return disk;
    const std::size_t begin = source + before.size();
    return std::string(xml.substr(begin, xml.find('\'', begin) - begin));
}

// QEMU pauses it, so that nothing is lost.
State unwritable(virDomainPtr domain) {
    State state{QVD_VM_PAUSED, "one of its disks cannot be written (is a disk full?)", EIO};
    std::array<virDomainDiskError, 16> errors{};
    const int count =
        virDomainGetDiskErrors(domain, errors.data(), static_cast<unsigned>(errors.size()), 0);
    for (int i = 0; i < count; ++i) {
        const virDomainDiskError& one = errors.at(static_cast<std::size_t>(i));
        const Text name(one.disk);
        if (one.error != VIR_DOMAIN_DISK_ERROR_NO_SPACE) continue;
        state.error = ENOSPC;
        state.sentence = "there is no room for what it writes to " + file_of(domain, one.disk) +
                         " (the disk is full): make room, then unpause it";
    }
    return state;
}

State paused(virDomainPtr domain, int reason) {
    switch (reason) {
        case VIR_DOMAIN_PAUSED_STARTING_UP:
            return {QVD_VM_STARTING, {}};
        case VIR_DOMAIN_PAUSED_IOERROR:
            return unwritable(domain);
        case VIR_DOMAIN_PAUSED_SAVE:
            return {QVD_VM_PAUSED, "its memory is being written to disk"};
        case VIR_DOMAIN_PAUSED_CRASHED:
            return {QVD_VM_CRASHED, "its kernel panicked"};
        case VIR_DOMAIN_PAUSED_SHUTTING_DOWN:
            return {QVD_VM_STOPPING, {}};
        default:
            return {QVD_VM_PAUSED, {}};
    }
}

State state_of(virDomainPtr domain) {
    int state = VIR_DOMAIN_NOSTATE;
    int reason = 0;
    if (virDomainGetState(domain, &state, &reason, 0) != 0) return {};
    switch (state) {
        case VIR_DOMAIN_RUNNING:
        case VIR_DOMAIN_BLOCKED:
            return {QVD_VM_RUNNING, {}};
        case VIR_DOMAIN_PAUSED:
            return paused(domain, reason);
        case VIR_DOMAIN_PMSUSPENDED:
            return {QVD_VM_PAUSED, "it put itself to sleep"};
        case VIR_DOMAIN_SHUTDOWN:
            return {QVD_VM_STOPPING, {}};
        case VIR_DOMAIN_SHUTOFF:
            return {QVD_VM_STOPPED, {}};
        case VIR_DOMAIN_CRASHED:
            return {QVD_VM_CRASHED, "its kernel panicked"};
        default:
            return {};
    }
}

// What lasts, such as a save.
bool has_job(virDomainPtr domain) {
    virDomainJobInfo job{};
    if (virDomainGetJobInfo(domain, &job) == 0) return job.type != VIR_DOMAIN_JOB_NONE;
    // Behind what its QEMU is asked for that; any other error is the next order's to tell.
    const virError* const error = virGetLastError();
    return error != nullptr && error->code == VIR_ERR_OPERATION_TIMEOUT;
}

// Nothing if it is none of ours, or went while it was looked at.
std::optional<Guest> guest_of(virDomainPtr domain, const QemuProcesses& processes) {
    const Text told(virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, identity_namespace,
                                         VIR_DOMAIN_AFFECT_LIVE));
    if (!told) return std::nullopt;
    const auto identity = Identity::from(told.get());
    char uuid[VIR_UUID_STRING_BUFLEN] = {};
    if (!identity || virDomainGetUUIDString(domain, uuid) != 0) return std::nullopt;
    const State state = state_of(domain);
    return Guest{uuid, *identity, state.state, state.sentence, processes.of(uuid), state.error};
}

// The number behind `before` in a text of libvirt's.
std::optional<unsigned> number_behind(std::string_view text, std::string_view before) {
    const std::size_t at = text.find(before);
    if (at == std::string_view::npos) return std::nullopt;
    unsigned number = 0;
    const char* const begin = text.data() + at + before.size();
    if (std::from_chars(begin, text.data() + text.size(), number).ec != std::errc())
        return std::nullopt;
    return number;
}

double idle_share(virConnectPtr connection, Times& before) {
    int count = 0;
    if (virNodeGetCPUStats(connection, VIR_NODE_CPU_STATS_ALL_CPUS, nullptr, &count, 0) != 0 ||
        count == 0)
        return 0;
    std::vector<virNodeCPUStats> times(static_cast<std::size_t>(count));
    if (virNodeGetCPUStats(connection, VIR_NODE_CPU_STATS_ALL_CPUS, times.data(), &count, 0) != 0)
        return 0;
    std::uint64_t all = 0;
    std::uint64_t idle = 0;
    for (const virNodeCPUStats& time : times) {
        all += time.value;
        const std::string_view what = static_cast<const char*>(time.field);
        if (what == VIR_NODE_CPU_STATS_IDLE || what == VIR_NODE_CPU_STATS_IOWAIT)
            idle += time.value;
    }
    const double share = all > before.all ? static_cast<double>(idle - before.idle) /
                                                static_cast<double>(all - before.all)
                                          : 0;
    before = {all, idle};
    return std::clamp(share, 0.0, 1.0);
}

}  // namespace

sdk::VmStatus Guest::status() const {
    sdk::VmStatus told;
    told.state = state;
    told.vm_id = identity.vm_id;
    told.uuid = uuid;
    told.incarnation = identity.incarnation;
    told.since = std::chrono::milliseconds(identity.since_ms);
    told.pid = pid;
    told.exit_code = error;
    told.sentence = sentence;
    return told;
}

namespace orders {

std::vector<Guest> list(const Order& order, const std::string& name_prefix) {
    virDomainPtr* domains = nullptr;
    const int count =
        virConnectListAllDomains(order.connection, &domains, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    if (count < 0) fail_by_libvirt("list the virtual machines");
    std::vector<Guest> found;
    const QemuProcesses processes;
    for (int i = 0; i < count; ++i) {
        const Domain domain(domains[i]);
        const std::string_view name = virDomainGetName(domain.get());
        if (name.substr(0, name_prefix.size()) != name_prefix) continue;
        if (auto guest = guest_of(domain.get(), processes)) found.push_back(*std::move(guest));
    }
    std::free(domains);  // NOLINT(cppcoreguidelines-no-malloc): libvirt's
    return found;
}

std::optional<Guest> find(const Order& order, const std::string& uuid) {
    const Domain domain = look_up(order, uuid);
    if (!domain) return std::nullopt;
    auto guest = guest_of(domain.get(), QemuProcesses());
    if (!guest && virDomainIsActive(domain.get()) == 1)
        throw sdk::Failure(QVD_CONFLICT, std::string("libvirt's domain ") +
                                             virDomainGetName(domain.get()) +
                                             " has the VM's uuid and is not the node's");
    return guest;
}

void create(const Order& order, const std::string& xml) {
    const Domain domain(virDomainCreateXML(order.connection, xml.c_str(), 0));
    if (!domain) fail_by_libvirt("start the virtual machine");
    if (*order.abandoned) virDomainDestroy(domain.get());
}

bool shut_down(const Order& order, const std::string& uuid) {
    const Domain domain = look_up(order, uuid);
    if (!domain) return false;
    if (state_of(domain.get()).state == QVD_VM_PAUSED) virDomainResume(domain.get());
    if (virDomainShutdownFlags(domain.get(), VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN) == 0) return true;
    if (virDomainIsActive(domain.get()) == 0) return false;
    fail_by_libvirt("ask the virtual machine to shut down");
}

bool destroy(const Order& order, const std::string& uuid) {
    const Domain domain = look_up(order, uuid);
    if (!domain || virDomainDestroy(domain.get()) == 0) return true;
    const virError* const error = virGetLastError();
    if (error != nullptr &&
        (error->code == VIR_ERR_NO_DOMAIN || error->code == VIR_ERR_OPERATION_INVALID))
        return true;  // it ended just now
    fail_by_libvirt("end the virtual machine");
}

void pause(const Order& order, const std::string& uuid) {
    const Domain domain = running(order, uuid);
    if (state_of(domain.get()).state == QVD_VM_PAUSED) return;
    if (virDomainSuspend(domain.get()) != 0) fail_by_libvirt("pause the virtual machine");
}

void unpause(const Order& order, const std::string& uuid) {
    const Domain domain = running(order, uuid);
    if (state_of(domain.get()).state == QVD_VM_RUNNING) return;
    if (virDomainResume(domain.get()) != 0) fail_by_libvirt("unpause the virtual machine");
}

void reset(const Order& order, const std::string& uuid) {
    const Domain domain = running(order, uuid);
    if (virDomainReset(domain.get(), 0) != 0) fail_by_libvirt("reset the virtual machine");
}

void save(const Order& order, const std::string& uuid, const std::string& path) {
    const Domain domain = running(order, uuid);
    if (virDomainSaveFlags(domain.get(), path.c_str(), nullptr, VIR_DOMAIN_SAVE_RUNNING) != 0)
        fail_by_libvirt("save the virtual machine's memory");
}

bool restore(const Order& order, const std::string& uuid, const std::string& path,
             const Identity& identity) {
    if (virDomainRestoreFlags(order.connection, path.c_str(), nullptr, 0) != 0)
        fail_by_libvirt("restore the virtual machine's memory");
    const Domain domain = running(order, uuid);
    if (*order.abandoned) {
        virDomainSaveFlags(domain.get(), path.c_str(), nullptr, VIR_DOMAIN_SAVE_RUNNING);
        return false;
    }
    const std::string element = identity.element();
    if (virDomainSetMetadata(domain.get(), VIR_DOMAIN_METADATA_ELEMENT, element.c_str(), "qvd",
                             identity_namespace, VIR_DOMAIN_AFFECT_LIVE) != 0)
        fail_by_libvirt("note which start of the VM this is");
    return true;
}

bool is_whole(const Order& order, const std::string& path) {
    const Text told(virDomainSaveImageGetXMLDesc(order.connection, path.c_str(), 0));
    if (told) return true;
    if (virConnectIsAlive(order.connection) != 1) fail_by_libvirt("ask for the saved memory");
    return false;
}

void wait_for_job(const Order& order, const std::string& uuid) {
    for (;;) {
        const Domain domain = look_up(order, uuid);
        if (!domain || !has_job(domain.get())) return;
        if (*order.abandoned)
            throw sdk::Failure(QVD_UNAVAILABLE, "libvirt is still busy with the virtual machine");
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

bool copy_disks(const Order& order, const std::string& uuid, const std::vector<DiskCopy>& copies) {
    const Domain domain = running(order, uuid);
    Xml disks("disks");
    for (const DiskCopy& copy : copies) {
        Xml disk("disk");
        disk.with("name", copy.name).with("backup", "yes").with("type", "file");
        disk.add(Xml("driver").with("type", "qcow2"));
        disks.add(disk.add(Xml("target").with("file", copy.to)));
    }
    const std::string xml = Xml("domainbackup").with("mode", "push").add(disks).text();
    if (virDomainBackupBegin(domain.get(), xml.c_str(), nullptr, 0) != 0)
        fail_by_libvirt("copy the virtual machine's disks");
    for (;;) {
        virDomainJobInfo job{};
        if (virDomainGetJobInfo(domain.get(), &job) != 0)
            fail_by_libvirt("ask how the copying of disks goes on");
        if (job.type == VIR_DOMAIN_JOB_NONE) break;
        if (*order.abandoned) {
            virDomainAbortJob(domain.get());
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    int type = VIR_DOMAIN_JOB_NONE;
    virTypedParameterPtr told = nullptr;
    int count = 0;
    if (virDomainGetJobStats(domain.get(), &type, &told, &count, VIR_DOMAIN_JOB_STATS_COMPLETED) !=
        0)
        fail_by_libvirt("ask how the copying of disks went");
    virTypedParamsFree(told, count);
    if (type == VIR_DOMAIN_JOB_COMPLETED) return true;
    throw sdk::Failure(QVD_UNAVAILABLE, "QEMU could not copy the virtual machine's disks");
}

sdk::Usage usage(const Order& order, const std::string& uuid) {
    const Domain domain = running(order, uuid);
    virDomainInfo info{};
    if (virDomainGetInfo(domain.get(), &info) != 0) fail_by_libvirt("measure the VM");
    constexpr double nanoseconds = 1e9;
    constexpr std::uint64_t kib = 1024;
    sdk::Usage used;
    used.cpu_seconds = static_cast<double>(info.cpuTime) / nanoseconds;
    std::array<virDomainMemoryStatStruct, VIR_DOMAIN_MEMORY_STAT_NR> memory{};
    const int count =
        virDomainMemoryStats(domain.get(), memory.data(), VIR_DOMAIN_MEMORY_STAT_NR, 0);
    used.memory_bytes = info.memory * kib;
    // What libvirt has filled.
    const std::size_t filled = count < 0 ? 0 : static_cast<std::size_t>(count);
    for (std::size_t i = 0; i < filled; ++i)
        if (memory.at(i).tag == VIR_DOMAIN_MEMORY_STAT_RSS)
            used.memory_bytes = memory.at(i).val * kib;
    return used;
}

sdk::Capacity capacity(const Order& order, Times& before) {
    virNodeInfo node{};
    if (virNodeGetInfo(order.connection, &node) != 0) fail_by_libvirt("measure the node");
    constexpr double kib_of_mib = 1024;
    sdk::Capacity capacity;
    capacity.cpus = node.cpus;
    capacity.cpu_mhz = static_cast<double>(node.mhz) * node.cpus;
    int count = 0;
    virNodeGetMemoryStats(order.connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, nullptr, &count, 0);
    std::vector<virNodeMemoryStats> memory(static_cast<std::size_t>(count));
    if (virNodeGetMemoryStats(order.connection, VIR_NODE_MEMORY_STATS_ALL_CELLS, memory.data(),
                              &count, 0) != 0)
        fail_by_libvirt("measure the node's memory");
    // total, free, buffers, cached; virNodeGetInfo() counts some machines' memory too small
    for (const virNodeMemoryStats& part : memory) {
        const bool is_all = std::strcmp(part.field, VIR_NODE_MEMORY_STATS_TOTAL) == 0;
        (is_all ? capacity.total_memory_mib : capacity.free_memory_mib) +=
            static_cast<double>(part.value) / kib_of_mib;
    }
    capacity.idle_cpu = idle_share(order.connection, before);
    return capacity;
}

Owner owner(const Order& order) {
    const Text told(virConnectGetCapabilities(order.connection));
    if (!told) fail_by_libvirt("ask for libvirt's capabilities");
    // <baselabel type='kvm'>+64055:+64055</baselabel>, of the model "dac"
    const std::string_view all = told.get();
    const std::size_t model = all.find("<model>dac</model>");
    if (model == std::string_view::npos) return {};
    const std::string_view label = all.substr(model, all.find("</secmodel>", model) - model);
    const auto user = number_behind(label, "'>+");
    const auto group = number_behind(label, ":+");
    return {user.value_or(0), group.value_or(0)};
}

}  // namespace orders
}  // namespace qvd::kvm
