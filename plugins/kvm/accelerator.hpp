// Whether the processor runs guests itself. That libvirt offers it proves nothing: inside another
// virtual machine /dev/kvm may be there, and guests fail or crawl. So a tiny guest is started once
// for each kernel and version of QEMU, and what came of it is remembered in path.kvm.state.
#pragma once

#include "connection.hpp"
#include "settings.hpp"

#include <mutex>
#include <optional>
#include <string>

namespace qvd::kvm {

struct Verdict {
    bool accelerated = false;
    std::string reason;  // why not, as a sentence for the operator
};

class Accelerator {
public:
    Accelerator(const sdk::Core& core, const Settings& settings, Connection& connection);

    // By vm.kvm.accel: "kvm", "tcg", or "auto", which finds out first. Throws sdk::Failure if
    // libvirt does not answer.
    bool accelerates(const std::string& wanted, const sdk::Call& call);

private:
    Verdict find_out(const sdk::Call& call);

    sdk::Core core_;
    const Settings& settings_;
    Connection& connection_;
    std::mutex mutex_;  // held while it is found out: one guest at a time
    std::optional<Verdict> verdict_;
};

// The disk that the guest starts from: it counts for a moment, then writes "QVD" to its serial
// line. 1 MiB, for the BIOS sees no disk in less.
std::string probe_disk();

}  // namespace qvd::kvm
