// What hkd asks of hypervisors, whichever of them a VM is of: the plugins answer it for real
// (plugin_backend), a pretended world in tests. It mirrors sdk/include/qvd/hypervisor.h.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "plugin/vm_spec.hpp"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvd::hkd {

// `hypervisor`: which backend, by the name that configuration gives it.
struct ImagePlan : plugin::ImageSpec {
    std::string hypervisor;
};
// Of a VM that only has to end, what is known.
struct VmPlan : plugin::VmSpec {
    std::string hypervisor;
    std::string address;          // where it is reached, also if it learns that by DHCP
    std::string checkpoint = {};  // what it goes back to; empty: it boots
};
struct FoundVm : plugin::VmStatus {
    std::string hypervisor;
};

// Whether something of the VM runs or may run. A suspended one is only a file.
constexpr bool is_alive(plugin::BackendState state) {
    return state != plugin::BackendState::stopped && state != plugin::BackendState::crashed &&
           state != plugin::BackendState::suspended;
}

template <class T>
using Async = boost::asio::awaitable<Result<T>>;

// What all hypervisors together found.
struct Survey {
    std::vector<FoundVm> found;
    // Those that did not answer, and why: of their VMs nothing is known.
    std::map<std::string, Error> silent;
};

// Belongs to the event loop. At most one call at a time for the same VM, and for the same image
// (usage and console apart): whoever calls sees to that. Everything is safe to repeat.
class Backend {
public:
    Backend() = default;
    Backend(const Backend&) = delete;
    Backend& operator=(const Backend&) = delete;
    virtual ~Backend() = default;

    using Progress = std::function<void(const std::string& sentence)>;
    // Calls `hear` on the event loop for each VM that ends, or ends badly, by itself, until the
    // token goes away. Missed ones are made good by survey().
    using Token = std::shared_ptr<void>;
    [[nodiscard]] virtual Token listen(std::function<void(const FoundVm&)> hear) = 0;

    // From now on collect() and survey() ask this hypervisor, too.
    virtual Result<void> know(const std::string& hypervisor) = 0;
    // Removes what a crash left behind and none of these VMs needs.
    virtual Async<void> collect(std::vector<std::string> keep_uuids) = 0;
    // The same of one that answers only now: nothing of the others is touched.
    virtual Async<void> collect_of(std::string hypervisor, std::vector<std::string> keep_uuids);
    virtual Async<Survey> survey() = 0;

    virtual Async<void> prepare_image(ImagePlan image, Deadline deadline, Progress progress) = 0;
    // Returns once the VM is on its way; on failure parts of it may be left.
    virtual Async<void> start(VmPlan vm, Deadline deadline) = 0;
    // Returns once it has been asked to shut down.
    virtual Async<void> stop(VmPlan vm, Deadline deadline) = 0;
    // Ends it now and undoes whatever start() did on the node.
    virtual Async<void> destroy(VmPlan vm, Deadline deadline) = 0;
    virtual Async<FoundVm> state(VmPlan vm, Deadline deadline) = 0;
    virtual Async<plugin::VmUsageStatus> usage(VmPlan vm, Deadline deadline) = 0;
    virtual Async<std::vector<plugin::ConsoleEndpoint>> console(VmPlan vm, Deadline deadline) = 0;
    // Pause, unpause, suspend, resume, checkpoint, snapshot or reset; `argument` is the snapshot's
    // name, or the path that suspend gave. Gives the path of what was made, or nothing. Errors:
    // unsupported "hypervisor.cannot" where the hypervisor does not do that.
    virtual Async<std::string> carry_out(VmPlan vm, VmCommand command, std::string argument,
                                         Deadline deadline) = 0;
    // Removes the node's copy of an image, or any other tree that the hypervisor has made: none of
    // its VMs uses it. It is out of the way when this returns.
    virtual Async<void> remove_image(ImagePlan image, Deadline deadline);
    // Removes what a deleted VM has left on the disks, and of homes those among its disks.
    virtual Async<void> remove_vm(VmPlan vm, Deadline deadline);
    // What the node's default hypervisor says that the node has; unsupported "backend.unsupported"
    // if it leaves that to the core.
    virtual Async<plugin::NodeCapacity> capacity(Deadline deadline) = 0;
};

// Of a pretended backend that has nothing on any disk.
inline Async<void> Backend::remove_image(ImagePlan /*image*/, Deadline /*deadline*/) {
    co_return Result<void>{};
}
inline Async<void> Backend::collect_of(std::string /*hypervisor*/,
                                       std::vector<std::string> /*keep_uuids*/) {
    co_return Result<void>{};
}
inline Async<void> Backend::remove_vm(VmPlan /*vm*/, Deadline /*deadline*/) {
    co_return Result<void>{};
}

}  // namespace qvd::hkd
