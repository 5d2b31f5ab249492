// The processes of this machine that run QEMU, by the VM that each runs. libvirt does not tell.
#pragma once

#include <map>
#include <string>

namespace qvd::kvm {

// As they are when it is made.
class QemuProcesses {
public:
    // `proc`: where the kernel tells of processes.
    explicit QemuProcesses(const std::string& proc = "/proc");

    // 0: none on this machine.
    [[nodiscard]] int of(const std::string& uuid) const;

private:
    std::map<std::string, int> by_uuid_;
};

}  // namespace qvd::kvm
