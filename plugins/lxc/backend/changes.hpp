// What VMs changed in their files, each in a tree of its own: FOLDER/DI-VM-KIND, one for each image
// that the VM has run with; kept between starts if its disk is persistent.
#pragma once

#include "backend/folders.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace qvd::lxc {

class Changes {
public:
    // `kinds`: the words that a tree's name may end with ("overlayfs"), the usual one first.
    Changes(std::string folder, std::vector<std::string> kinds, Sweeper& sweeper)
        : folder_(std::move(folder)), kinds_(std::move(kinds)), sweeper_(sweeper) {}

    [[nodiscard]] const std::string& folder() const { return folder_; }
    // Where this VM's changes to this disk's image belong.
    [[nodiscard]] std::string path_of(const sdk::Vm& vm, const sdk::Disk& disk,
                                      const std::string& kind) const;
    // All that there are of this VM.
    [[nodiscard]] std::vector<std::string> of(std::uint64_t vm_id) const;
    // For a start: unless the disk is to keep its changes, whatever there is goes. Throws
    // sdk::Failure.
    void begin(const sdk::Vm& vm, const sdk::Disk& disk, const std::string& path);
    void remove(std::uint64_t vm_id);
    // Goes on with what an earlier process was removing.
    void collect();

private:
    void discard(const std::string& path);

    std::string folder_;
    std::vector<std::string> kinds_;
    Sweeper& sweeper_;
};

}  // namespace qvd::lxc
