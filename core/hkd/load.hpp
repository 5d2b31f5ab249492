// How busy this machine is, from /proc.
#pragma once

#include "base/result.hpp"
#include "model/node.hpp"
#include "plugin/vm_spec.hpp"

#include <cstdint>
#include <string>

namespace qvd::hkd {

// What a hypervisor says instead of /proc, which may not show all of the machine (Xen's) or more
// than VMs can have. backend.answer if that cannot be.
Result<void> correct(NodeLoad& load, const plugin::NodeCapacity& capacity);

class LoadMeter {
public:
    explicit LoadMeter(std::string proc = "/proc") : proc_(std::move(proc)) {}

    // The idle share is that since the call before (first: since boot). Errors: load.unreadable.
    Result<NodeLoad> read();

private:
    std::string proc_;
    std::uint64_t busy_ = 0;
    std::uint64_t idle_ = 0;
};

}  // namespace qvd::hkd
