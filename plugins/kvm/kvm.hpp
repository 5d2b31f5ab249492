// VMs as virtual machines of QEMU, through libvirt.
#pragma once

#include "accelerator.hpp"
#include "connection.hpp"
#include "guests.hpp"
#include "orders.hpp"
#include "settings.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace qvd::kvm {

class Kvm : public HypervisorBackend {
public:
    static constexpr qvd_threading threading = QVD_CONCURRENT;

    explicit Kvm(const sdk::Core& core);

    std::uint64_t capabilities() override;
    void collect(sdk::Texts keep, sdk::Call& call) override;
    std::vector<sdk::VmStatus> survey(sdk::Call& call) override;
    sdk::PreparedImage prepare_image(const sdk::Image& image, sdk::Call& call) override;
    sdk::VmStatus start(const sdk::Vm& vm, sdk::Call& call) override;
    void stop(const sdk::Vm& vm, sdk::Call& call) override;
    void destroy_vm(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::VmStatus state(const sdk::Vm& vm, sdk::Call& call) override;
    void remove_vm(const sdk::Vm& vm, sdk::Call& call) override;
    std::vector<sdk::Endpoint> console(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Usage usage(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Capacity capacity(sdk::Call& call) override;
    void pause(const sdk::Vm& vm, sdk::Call& call) override;
    void unpause(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Saved save(const sdk::Vm& vm, sdk::Call& call) override;
    void restore(const sdk::Vm& vm, std::string_view path, sdk::Call& call) override;
    sdk::Saved checkpoint(const sdk::Vm& vm, sdk::Call& call) override;
    sdk::Saved snapshot(const sdk::Vm& vm, std::string_view name, sdk::Call& call) override;
    void reset(const sdk::Vm& vm, sdk::Call& call) override;

private:
    struct Measured;
    std::optional<Guest> find(const sdk::Vm& vm, sdk::Call& call);
    // Of one that does not run, also if nobody was there any more to see that it was saved.
    bool has_memory(const sdk::Vm& vm, sdk::Call& call);
    sdk::VmStatus begin(const sdk::Vm& vm, const Machine& machine, sdk::Call& call);
    void end(const sdk::Vm& vm, sdk::Call& call);
    Owner owner(sdk::Call& call);

    sdk::Core core_;
    Settings settings_;
    Guests guests_;
    std::shared_ptr<Measured> measured_;
    std::mutex mutex_;  // guards owner_
    std::optional<Owner> owner_;
    Connection connection_;  // behind what it tells of
    Accelerator accelerator_;
};

}  // namespace qvd::kvm
