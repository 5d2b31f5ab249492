#include "accelerator.hpp"

#include "files.hpp"
#include "machine.hpp"

#include <libvirt/virterror.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string_view>
#include <thread>

namespace qvd::kvm {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds patience{2'000};            // a processor that runs it needs a tenth
constexpr milliseconds emulated_patience{10'000};  // of the guest that proves the probe itself
constexpr milliseconds look_again{20};

constexpr std::array<unsigned char, 37> probe_code{
    0xfa,                                // cli
    0x31, 0xc0,                          // xor ax, ax
    0x8e, 0xd8,                          // mov ds, ax
    0x66, 0xb9, 0x00, 0x2d, 0x31, 0x01,  // mov ecx, 20000000
    0x67, 0xe2, 0xfd,                    // loop: itself, by ecx
    0xbe, 0x20, 0x7c,                    // mov si, the text below
    0xfc,                                // cld
    0xac,                                // next: lodsb
    0x84, 0xc0,                          // test al, al
    0x74, 0x06,                          // jz done
    0xba, 0xf8, 0x03,                    // mov dx, the first serial line
    0xee,                                // out dx, al
    0xeb, 0xf5,                          // jmp next
    0xf4,                                // done: hlt
    0xeb, 0xfd,                          // jmp done
    'Q',  'V',  'D',  '\n', 0,           //
};

struct Probe {
    std::string disk;
    std::string said;  // the file that its serial line writes to
    std::string name;
};

std::string domain_of(const Probe& probe, bool accelerated) {
    Machine machine;
    machine.domain = probe.name;
    machine.uuid = read_file("/proc/sys/kernel/random/uuid").value_or(std::string()).substr(0, 36);
    machine.memory_mib = 32;
    machine.accelerated = accelerated;
    machine.drives.push_back({probe.disk, "raw", {}, {}, {}, 0, true});
    machine.console_log = probe.said;
    return domain_xml(machine);
}

// Empty if the guest ran; otherwise why not.
std::string run(const Order& order, const Probe& probe, bool accelerated, milliseconds limit) {
    remove_file(probe.said);
    const std::string xml = domain_of(probe, accelerated);
    const Domain domain(
        virDomainCreateXML(order.connection, xml.c_str(), VIR_DOMAIN_START_AUTODESTROY));
    if (!domain) {
        const virError* const error = virGetLastError();
        std::string why = error != nullptr && error->message != nullptr ? error->message : "";
        while (!why.empty() && why.back() == '\n') why.pop_back();
        return "libvirt could not start one: " + why.substr(why.rfind('\n') + 1);
    }
    const auto until = std::chrono::steady_clock::now() + limit;
    bool ran = false;
    while (!ran && !*order.abandoned && std::chrono::steady_clock::now() < until) {
        ran = read_file(probe.said).value_or(std::string()).find("QVD") != std::string::npos;
        if (!ran) std::this_thread::sleep_for(look_again);
    }
    virDomainDestroy(domain.get());
    return ran ? std::string()
               : "one had not come to its first word after " +
                     std::to_string(limit.count() / 1000) + " s";
}

Verdict prove(const Order& order, const Probe& probe) {
    const std::string trouble = run(order, probe, true, patience);
    if (trouble.empty()) return {true, {}};
    const std::string emulated = run(order, probe, false, emulated_patience);
    if (!emulated.empty())
        throw sdk::Failure(QVD_UNAVAILABLE, "no virtual machine runs here, accelerated or not: " +
                                                emulated + " (vm.kvm.accel = auto)");
    return {false, trouble};
}

// What a verdict is true for.
std::string circumstances(const Order& order) {
    unsigned long qemu = 0;
    if (virConnectGetVersion(order.connection, &qemu) != 0) fail_by_libvirt("ask for its version");
    utsname kernel{};
    ::uname(&kernel);
    return std::string("kernel=") + static_cast<const char*>(kernel.release) + " " +
           static_cast<const char*>(kernel.version) + "\nqemu=" + std::to_string(qemu) + "\n";
}

// A guest that ran will run again. One that did not may have met a module that was not loaded yet,
// a processor set up otherwise or a busy machine: that is true until the next boot at most.
std::string how_it_failed() {
    return "accel=tcg\nboot=" +
           read_file("/proc/sys/kernel/random/boot_id").value_or(std::string("unknown\n")) +
           "reason=";
}

std::optional<Verdict> remembered(const std::string& file, const std::string& circumstances) {
    const auto text = read_file(file);
    if (!text || text->substr(0, circumstances.size()) != circumstances) return std::nullopt;
    const std::string_view rest = std::string_view(*text).substr(circumstances.size());
    if (rest == "accel=kvm\n") return Verdict{true, {}};
    const std::string no = how_it_failed();
    if (rest.substr(0, no.size()) != no) return std::nullopt;
    return Verdict{false, std::string(rest.substr(no.size(), rest.size() - no.size() - 1))};
}

Verdict judge(const Order& order, const std::string& folder, const std::string& name_prefix) {
    make_folders(folder, 0711);
    const std::string file = folder + "/accel";
    const std::string now = circumstances(order);
    if (const auto known = remembered(file, now)) return *known;
    const std::string mine = std::to_string(::getpid());
    const Probe probe{folder + "/probe-" + mine + ".img", folder + "/probe-" + mine + ".serial",
                      name_prefix + "probe-" + mine};
    replace_file(probe.disk, probe_disk(), 0444);
    Verdict verdict;
    try {
        verdict = prove(order, probe);
    } catch (...) {
        remove_file(probe.disk);
        remove_file(probe.said);
        throw;
    }
    remove_file(probe.disk);
    remove_file(probe.said);
    if (!*order.abandoned)
        replace_file(
            file,
            now + (verdict.accelerated ? "accel=kvm\n" : how_it_failed() + verdict.reason + "\n"),
            0644);
    return verdict;
}

}  // namespace

std::string probe_disk() {
    std::string disk(probe_code.begin(), probe_code.end());
    constexpr std::size_t sector = 512;
    disk.resize(sector - 2, '\0');
    disk += "\x55\xaa";
    disk.resize(1U << 20U, '\0');
    return disk;
}

Accelerator::Accelerator(const sdk::Core& core, const Settings& settings, Connection& connection)
    : core_(core), settings_(settings), connection_(connection) {
}

bool Accelerator::accelerates(const std::string& wanted, const sdk::Call& call) {
    if (wanted != "auto") return wanted == "kvm";
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!verdict_) {
        verdict_ = find_out(call);
        if (!verdict_->accelerated)
            core_.warning(
                "virtual machines are emulated on this node, many times slower: with KVM " +
                verdict_->reason + " (vm.kvm.accel = auto, remembered until the next boot in " +
                settings_.state + "/accel)");
    }
    return verdict_->accelerated;
}

Verdict Accelerator::find_out(const sdk::Call& call) {
    return connection_.ask(
        call, "", [folder = settings_.state, prefix = settings_.name_prefix](const Order& order) {
            return judge(order, folder, prefix);
        });
}

}  // namespace qvd::kvm
