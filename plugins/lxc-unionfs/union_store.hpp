// Root file systems of containers as unions: the unpacked image below, what the VM changed above.
// Which union, vm.lxc.unionfs.type says, of the node or as a property of the VM or its OSF. In
// path.storage.overlayfs, a local file system:
//     DI-VM-TYPE             what the VM changed, of one type of union
//     VM-overlayfs-work      the union's own
//     deleteme-...           on its way out, removed in the background
// and mounted at path.storage.rootfs/VM-fs; path.run/vm/VM.files says of what, while it is.
#pragma once

#include "backend/backend.hpp"
#include "backend/changes.hpp"
#include "union.hpp"

#include <qvd/processes.hpp>

#include <memory>
#include <string>
#include <vector>

namespace qvd::lxc {

class UnionStore : public RootStore {
public:
    // Throws sdk::Failure(QVD_INVALID) if this machine cannot do the union that is configured.
    UnionStore(const sdk::Core& core, const Settings& settings, const Trees& trees,
               Sweeper& sweeper);

    Images& images() override { return images_; }
    void collect() override;
    Root mount(const sdk::Vm& vm, const UnpackedImage& image, const UserMapPtr& map) override;
    std::string mapping_obstacle_of(const sdk::Vm& vm, const UnpackedImage& image,
                                    const UserMap& map) override;
    std::string usual_mapping_obstacle(const UserMap& map) override;
    bool unmount(std::uint64_t vm_id) override;
    std::vector<std::uint64_t> mounted() override;
    void remove_changes(std::uint64_t vm_id) override;

private:
    class UnionImages : public Images {
    public:
        UnionImages(const Settings& settings, const sdk::Core& core, const Trees& trees,
                    Sweeper& sweeper)
            : Images(settings.basefs, settings, core, trees, sweeper), settings_(settings) {}

    protected:
        [[nodiscard]] bool in_use(const std::string& target) const override;

    private:
        const Settings& settings_;
    };

    void make_unions();
    [[nodiscard]] Union* find(const std::string& name) const;
    [[nodiscard]] Union& named_by(const sdk::Vm& vm) const;
    // ... if it works here.
    [[nodiscard]] Union& union_of(const sdk::Vm& vm) const;
    [[nodiscard]] std::string work_of(std::uint64_t vm_id) const;
    void daemon_ended(const sdk::Process& daemon);

    sdk::Core core_;
    UnionImages images_;
    Changes changes_;
    Sweeper& sweeper_;
    std::string default_type_;
    std::vector<std::unique_ptr<Union>> unions_;
    sdk::Processes processes_;  // last: its threads use the others
};

// The plugin.
class LxcUnionfs : public LxcBackend {
public:
    explicit LxcUnionfs(const sdk::Core& core)
        : LxcBackend(core, std::make_unique<Trees>(), [](const Parts& parts) {
              return std::make_unique<UnionStore>(parts.core, parts.settings, parts.trees,
                                                  parts.sweeper);
          }) {}
};

}  // namespace qvd::lxc
