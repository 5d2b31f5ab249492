// Root file systems of containers as snapshots: an image is unpacked once, into a subvolume that
// nobody can change, and each VM has a snapshot of it. In path.storage.btrfs.root, a btrfs:
//     btrfs/images/NAME      an image (images.hpp)
//     btrfs/vms/DI-VM-btrfs  the files of one VM; kept between starts if its disk is persistent
//     .../deleteme-...       on its way out
// A VM's snapshot is mounted at path.storage.rootfs/VM-fs, without devices.
#pragma once

#include "backend/backend.hpp"
#include "backend/changes.hpp"
#include "subvolumes.hpp"

#include <memory>
#include <string>
#include <vector>

namespace qvd::lxc {

class BtrfsStore : public RootStore {
public:
    // Throws sdk::Failure(QVD_INVALID) with what to do if path.storage.btrfs.root is on no btrfs.
    BtrfsStore(const sdk::Core& core, const Settings& settings, const Trees& trees,
               Sweeper& sweeper);

    Images& images() override { return images_; }
    void collect() override;
    // As a subvolume, where path.storage.homefs is on a btrfs.
    std::string make_home(const std::string& path, std::uint64_t bytes) override;
    Root mount(const sdk::Vm& vm, const UnpackedImage& image, const UserMapPtr& map) override;
    std::string mapping_obstacle_of(const sdk::Vm& /*vm*/, const UnpackedImage& image,
                                    const UserMap& map) override {
        return mapping_obstacle(image.root, map);
    }
    std::string usual_mapping_obstacle(const UserMap& map) override {
        return mapping_obstacle(top_, map);
    }
    void remove_changes(std::uint64_t vm_id) override { changes_.remove(vm_id); }
    std::uint64_t changed_bytes(std::uint64_t vm_id) override;

private:
    [[nodiscard]] std::uint64_t quota_of(const sdk::Vm& vm) const;

    sdk::Core core_;
    std::string top_;
    Images images_;
    Changes changes_;
};

// The plugin.
class LxcBtrfs : public LxcBackend {
public:
    explicit LxcBtrfs(const sdk::Core& core)
        : LxcBackend(core, std::make_unique<Subvolumes>(), [](const Parts& parts) {
              return std::make_unique<BtrfsStore>(parts.core, parts.settings, parts.trees,
                                                  parts.sweeper);
          }) {}
};

}  // namespace qvd::lxc
