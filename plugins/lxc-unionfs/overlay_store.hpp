// Root file systems of containers as kernel overlayfs: the unpacked image below, what the VM
// changed above. In path.storage.overlayfs, a local file system:
//     DI-VM-overlayfs        what the VM changed; kept between starts if its disk is persistent
//     VM-overlayfs-work      overlayfs's own
//     deleteme-...           on its way out, removed in the background
// and mounted at path.storage.rootfs/VM-fs.
#pragma once

#include "backend/containers.hpp"
#include "backend/folders.hpp"
#include "backend/images.hpp"
#include "backend/settings.hpp"

#include <string>
#include <vector>

namespace qvd::lxc {

class OverlayStore : public RootStore {
public:
    // Throws sdk::Failure(QVD_INVALID) if the storage cannot hold overlays.
    OverlayStore(const Settings& settings, Sweeper& sweeper);

    std::string mount(const sdk::Vm& vm) override;
    bool unmount(std::uint64_t vm_id) override;
    std::vector<std::uint64_t> mounted() override;

    // Whatever the VM changed in its files, of any image.
    void remove_overlays(std::uint64_t vm_id);
    // Goes on with what an earlier process was removing.
    void collect();

private:
    std::string prepare_upper(const sdk::Vm& vm, const sdk::Disk& disk);
    [[nodiscard]] std::vector<std::string> overlays_of(std::uint64_t vm_id) const;
    [[nodiscard]] std::string work_of(std::uint64_t vm_id) const;

    const Settings& settings_;
    Sweeper& sweeper_;
};

}  // namespace qvd::lxc
