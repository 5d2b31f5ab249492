// A hypervisor backend plugin as hkd uses it. Every call is awaited on the event loop; the plugin
// runs on its lane. Functions that a backend lacks are unsupported "backend.unsupported".
#pragma once

#include "plugin/instance.hpp"
#include "plugin/vm_spec.hpp"

#include <qvd/hypervisor.h>

#include <functional>

namespace qvd::plugin {

using Progress = std::function<void(int percent, const std::string& sentence)>;

class Hypervisor {
public:
    template <class T>
    using Async = boost::asio::awaitable<Result<T>>;

    explicit Hypervisor(std::shared_ptr<Instance> instance) : instance_(std::move(instance)) {}

    [[nodiscard]] const std::string& name() const { return instance_->name(); }
    [[nodiscard]] std::uint64_t capabilities() const;

    Async<void> collect(std::vector<std::string> keep_uuids, Milliseconds limit);
    Async<std::vector<VmStatus>> survey(Milliseconds limit);
    Async<ImageStatus> prepare_image(ImageSpec image, Progress progress, Milliseconds limit);
    Async<void> remove_image(ImageSpec image, Milliseconds limit);
    Async<VmStatus> start(VmSpec vm, Milliseconds limit, std::string trace);
    Async<void> stop(VmSpec vm, Milliseconds limit);
    Async<void> destroy_vm(VmSpec vm, Milliseconds limit);
    Async<VmStatus> state(VmSpec vm, Milliseconds limit);
    Async<void> remove_vm(VmSpec vm, Milliseconds limit);
    Async<std::vector<ConsoleEndpoint>> console(VmSpec vm, Milliseconds limit);
    Async<VmUsageStatus> usage(VmSpec vm, Milliseconds limit);
    Async<NodeCapacity> capacity(Milliseconds limit);
    // By capabilities().
    Async<void> pause(VmSpec vm, Milliseconds limit);
    Async<void> unpause(VmSpec vm, Milliseconds limit);
    Async<void> reset(VmSpec vm, Milliseconds limit);
    Async<SavedVm> save(VmSpec vm, Milliseconds limit);
    Async<void> restore(VmSpec vm, std::string path, Milliseconds limit);
    Async<SavedVm> checkpoint(VmSpec vm, Milliseconds limit);
    Async<SavedVm> snapshot(VmSpec vm, std::string snapshot_name, Milliseconds limit);

private:
    using VmFunction = qvd_status (*qvd_hypervisor::*)(void*, const qvd_vm*, qvd_call*);

    // The same with one more text.
    using VmTextFunction = qvd_status (*qvd_hypervisor::*)(void*, const qvd_vm*, qvd_str,
                                                           qvd_call*);

    Async<void> vm_call(VmFunction function, VmSpec vm, CallOptions options);
    Async<void> vm_text_call(VmTextFunction function, VmSpec vm, std::string text,
                             CallOptions options);
    Async<SavedVm> saving_call(VmFunction function, VmSpec vm, CallOptions options);

    std::shared_ptr<Instance> instance_;
};

}  // namespace qvd::plugin
