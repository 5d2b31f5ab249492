// A backend whose VMs get past the node's firewall as themselves, from before their start to after
// their end.
#pragma once

#include "hkd/backend.hpp"
#include "hkd/network/network.hpp"

namespace qvd::hkd {

class GuardedBackend final : public Backend {
public:
    // Both outlive it.
    GuardedBackend(Backend& inner, network::Network& network) : inner_(inner), network_(network) {}

    Token listen(std::function<void(const FoundVm&)> hear) override {
        return inner_.listen(std::move(hear));
    }
    Result<void> know(const std::string& hypervisor) override { return inner_.know(hypervisor); }
    Async<void> collect(std::vector<std::string> keep_uuids) override {
        return inner_.collect(std::move(keep_uuids));
    }
    Async<void> collect_of(std::string hypervisor, std::vector<std::string> keep_uuids) override {
        return inner_.collect_of(std::move(hypervisor), std::move(keep_uuids));
    }
    Async<Survey> survey() override { return inner_.survey(); }
    Async<void> prepare_image(ImagePlan image, Deadline deadline, Progress progress) override {
        return inner_.prepare_image(std::move(image), deadline, std::move(progress));
    }
    Async<void> start(VmPlan vm, Deadline deadline) override;
    Async<void> stop(VmPlan vm, Deadline deadline) override {
        return inner_.stop(std::move(vm), deadline);
    }
    Async<void> destroy(VmPlan vm, Deadline deadline) override;
    Async<FoundVm> state(VmPlan vm, Deadline deadline) override {
        return inner_.state(std::move(vm), deadline);
    }
    Async<plugin::VmUsageStatus> usage(VmPlan vm, Deadline deadline) override {
        return inner_.usage(std::move(vm), deadline);
    }
    Async<std::vector<plugin::ConsoleEndpoint>> console(VmPlan vm, Deadline deadline) override {
        return inner_.console(std::move(vm), deadline);
    }
    Async<std::string> carry_out(VmPlan vm, VmCommand command, std::string argument,
                                 Deadline deadline) override;
    Async<void> remove_image(ImagePlan image, Deadline deadline) override {
        return inner_.remove_image(std::move(image), deadline);
    }
    Async<void> remove_vm(VmPlan vm, Deadline deadline) override {
        return inner_.remove_vm(std::move(vm), deadline);
    }
    Async<plugin::NodeCapacity> capacity(Deadline deadline) override {
        return inner_.capacity(deadline);
    }

private:
    Backend& inner_;
    network::Network& network_;
};

}  // namespace qvd::hkd
