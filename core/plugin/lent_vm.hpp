// A VmSpec in the form of the ABI, owning all that it points to: lent to a plugin for one call.
#pragma once

#include "plugin/inventory.hpp"
#include "plugin/vm_spec.hpp"

#include <qvd/hypervisor.h>

#include <deque>
#include <vector>

namespace qvd::plugin {

class LentVm {
public:
    explicit LentVm(VmSpec spec);
    LentVm(const LentVm&) = delete;
    LentVm& operator=(const LentVm&) = delete;
    ~LentVm() = default;

    [[nodiscard]] const qvd_vm* raw() const { return &raw_; }

private:
    void add_disks();
    void add_nics();

    VmSpec spec_;
    PropertyArray properties_;
    std::vector<qvd_disk> disks_;
    std::vector<qvd_nic> nics_;
    std::deque<std::vector<qvd_address>> addresses_;
    std::deque<std::vector<qvd_str>> dns_;
    qvd_vm raw_{};
};

class LentImage {
public:
    explicit LentImage(ImageSpec spec);
    LentImage(const LentImage&) = delete;
    LentImage& operator=(const LentImage&) = delete;
    ~LentImage() = default;

    [[nodiscard]] const qvd_image* raw() const { return &raw_; }

private:
    ImageSpec spec_;
    qvd_image raw_{};
};

// The other way: what a backend said of a VM.
VmStatus vm_status(const qvd_vm_status& raw);

}  // namespace qvd::plugin
