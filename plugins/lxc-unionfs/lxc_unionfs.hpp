// VMs as LXC containers whose files are a union of an unpacked image and their own changes.
#pragma once

#include "backend/containers.hpp"
#include "backend/folders.hpp"
#include "backend/images.hpp"
#include "backend/load.hpp"
#include "backend/settings.hpp"
#include "overlay_store.hpp"

#include <qvd/hypervisor_backend.hpp>

namespace qvd::lxc {

class LxcUnionfs : public HypervisorBackend {
public:
    static constexpr qvd_threading threading = QVD_CONCURRENT;

    explicit LxcUnionfs(const sdk::Core& core);

    std::uint64_t capabilities() override { return QVD_CAN_CONSOLE | QVD_CAN_DEVICES; }
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
    sdk::Usage usage(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Capacity capacity(sdk::Call& call) override;

private:
    [[nodiscard]] std::string target_of(const sdk::Image& image) const;

    sdk::Core core_;
    Settings settings_;
    Sweeper sweeper_;
    Images images_;
    OverlayStore store_;
    Containers containers_;
    Load load_;
};

}  // namespace qvd::lxc
