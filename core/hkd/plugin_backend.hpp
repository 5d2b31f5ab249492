// The Backend of a node: whichever hypervisor plugin a VM is of.
#pragma once

#include "config/view.hpp"
#include "hkd/backend.hpp"
#include "plugin/hypervisor.hpp"
#include "plugin/registry.hpp"

#include <map>

namespace qvd::hkd {

// Belongs to the event loop of `host`.
class PluginBackend final : public Backend {
public:
    // Both outlive it. Takes host.on_vm_event.
    PluginBackend(plugin::Host& host, plugin::Registry& registry);

    // Loads what configuration names (hkd.hypervisor.plugins, or vm.hypervisor): all or an error.
    Result<void> load();
    [[nodiscard]] std::vector<std::string> names() const;

    Token listen(std::function<void(const FoundVm&)> hear) override;
    Result<void> know(const std::string& hypervisor) override;
    Async<void> collect(std::vector<std::string> keep_uuids) override;
    Async<void> collect_of(std::string hypervisor, std::vector<std::string> keep_uuids) override;
    Async<Survey> survey() override;
    Async<void> prepare_image(ImagePlan image, Deadline deadline, Progress progress) override;
    Async<void> start(VmPlan vm, Deadline deadline) override;
    Async<void> stop(VmPlan vm, Deadline deadline) override;
    Async<void> destroy(VmPlan vm, Deadline deadline) override;
    Async<FoundVm> state(VmPlan vm, Deadline deadline) override;
    Async<plugin::VmUsageStatus> usage(VmPlan vm, Deadline deadline) override;
    Async<std::vector<plugin::ConsoleEndpoint>> console(VmPlan vm, Deadline deadline) override;
    Async<std::string> carry_out(VmPlan vm, VmCommand command, std::string argument,
                                 Deadline deadline) override;
    Async<void> remove_image(ImagePlan image, Deadline deadline) override;
    Async<void> remove_vm(VmPlan vm, Deadline deadline) override;
    Async<plugin::NodeCapacity> capacity(Deadline deadline) override;

private:
    // Loaded when first asked for.
    Result<plugin::Hypervisor*> loaded(const std::string& name);
    // The same for a VM that is about to start: one that the node's configuration lets it have.
    // Errors: hypervisor.not_listed, and those of the registry.
    Result<plugin::Hypervisor*> admitted(const std::string& name);
    [[nodiscard]] std::string resolved(const std::string& name) const;

    plugin::Host& host_;
    plugin::Registry& registry_;
    std::map<std::string, std::unique_ptr<plugin::Hypervisor>> hypervisors_;  // by plugin
    std::map<std::string, Milliseconds> patience_;  // with their next survey
    std::shared_ptr<std::function<void(const FoundVm&)>> listener_;
};

}  // namespace qvd::hkd
