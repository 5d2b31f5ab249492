// A HypervisorBackend whose VMs are LXC containers. What a plugin adds is the store that their
// files come from.
#pragma once

#include "backend/containers.hpp"
#include "backend/folders.hpp"
#include "backend/load.hpp"
#include "backend/root_store.hpp"
#include "backend/settings.hpp"
#include "backend/trees.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <functional>
#include <memory>

namespace qvd::lxc {

class LxcBackend : public HypervisorBackend {
public:
    static constexpr qvd_threading threading = QVD_CONCURRENT;

    std::uint64_t capabilities() override {
        return QVD_CAN_CONSOLE | QVD_CAN_DEVICES | QVD_CAN_PAUSE;
    }
    void collect(sdk::Texts keep, sdk::Call& call) override;
    std::vector<sdk::VmStatus> survey(sdk::Call& call) override;
    sdk::PreparedImage prepare_image(const sdk::Image& image, sdk::Call& call) override;
    void remove_image(const sdk::Image& image, sdk::Call& call) override;
    sdk::VmStatus start(const sdk::Vm& vm, sdk::Call& call) override;
    void stop(const sdk::Vm& vm, sdk::Call& call) override;
    void destroy_vm(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::VmStatus state(const sdk::Vm& vm, sdk::Call& call) override;
    void remove_vm(const sdk::Vm& vm, sdk::Call& call) override;
    std::vector<sdk::Endpoint> console(const sdk::Vm& vm, sdk::Call& call) override;
    void pause(const sdk::Vm& vm, sdk::Call& call) override;
    void unpause(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Usage usage(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Capacity capacity(sdk::Call& call) override;

protected:
    // What a store is made of; all of it outlives the store.
    struct Parts {
        const sdk::Core& core;
        const Settings& settings;
        const Trees& trees;
        Sweeper& sweeper;
    };
    using MakeStore = std::function<std::unique_ptr<RootStore>(const Parts&)>;
    // Throws sdk::Failure if the configuration is not one to work with on this machine.
    LxcBackend(const sdk::Core& core, std::unique_ptr<Trees> trees, const MakeStore& make_store);

private:
    sdk::Core core_;
    Settings settings_;
    std::unique_ptr<Trees> trees_;
    Sweeper sweeper_;
    std::unique_ptr<RootStore> store_;
    Containers containers_;
    Load load_;
};

}  // namespace qvd::lxc
