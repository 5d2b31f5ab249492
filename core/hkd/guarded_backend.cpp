#include "hkd/guarded_backend.hpp"

#include "base/log.hpp"

namespace qvd::hkd {

Async<void> GuardedBackend::start(VmPlan vm, Deadline deadline) {
    QVD_CO_CHECK(network_.admit(vm, vm.address));
    co_return co_await inner_.start(std::move(vm), deadline);
}

// What comes back from disk needs its way as a start does: it may have lost it with its last end.
Async<std::string> GuardedBackend::carry_out(VmPlan vm, VmCommand command, std::string argument,
                                             Deadline deadline) {
    if (command == VmCommand::resume) QVD_CO_CHECK(network_.admit(vm, vm.address));
    co_return co_await inner_.carry_out(std::move(vm), command, std::move(argument), deadline);
}

Async<void> GuardedBackend::destroy(VmPlan vm, Deadline deadline) {
    VmPlan copy = vm;
    QVD_CO_CHECK(co_await inner_.destroy(std::move(copy), deadline));
    // An element too many lets nobody in: its device is gone.
    if (const auto expelled = network_.expel(vm, vm.address); !expelled.ok())
        log::warn("network.not_expelled", {{"vm", vm.vm}}, expelled.error().sentence());
    co_return Result<void>{};
}

}  // namespace qvd::hkd
