// The containers of this node: their keepers, what they leave behind, and word of their end. Both
// plugins for containers are made of this and a store of root file systems.
#pragma once

#include "backend/order.hpp"
#include "backend/root_store.hpp"
#include "backend/settings.hpp"
#include "backend/watcher.hpp"

#include <qvd/hypervisor_backend.hpp>
#include <qvd/processes.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qvd::lxc {

class KeeperSocket;

class Containers {
public:
    Containers(const sdk::Core& core, const Settings& settings, RootStore& store);

    void collect(const std::set<std::string>& keep_uuids);
    // Says in the log whether containers get ids of their own here.
    void tell_of_user_maps();
    std::vector<sdk::VmStatus> survey();
    sdk::VmStatus start(const sdk::Vm& vm, sdk::Call& call);
    void stop(std::uint64_t vm_id);
    // Off the processors, and back; of one that is so already nothing happens.
    void pause(std::uint64_t vm_id);
    void unpause(std::uint64_t vm_id);
    // Ends it as a crash of which `sentence` tells.
    void fail(std::uint64_t vm_id, const std::string& sentence);
    void destroy(const sdk::Vm& vm, sdk::Call& call);
    sdk::VmStatus state(std::uint64_t vm_id);
    std::vector<sdk::Endpoint> console(std::uint64_t vm_id);
    sdk::Usage usage(std::uint64_t vm_id);
    // State file and logs of a VM that does not run.
    void forget(std::uint64_t vm_id);
    // Held around whatever must not overlap with a start or an end of the same VM.
    std::unique_lock<std::mutex> hold(std::uint64_t vm_id);

private:
    std::optional<Fields> ask(std::uint64_t vm_id, std::string_view request);
    std::optional<Fields> left_behind(std::uint64_t vm_id);
    // The ids that the VM is to have; null: the node's own. Throws what is wrong with its settings.
    UserMapPtr map_of(const sdk::Vm& vm, const UnpackedImage& image);
    [[nodiscard]] std::string reach_obstacle() const;
    // The home, if it is to have one; says once that nobody keeps to its size.
    void make_home(const sdk::Vm& vm);
    KeeperSocket meet_keeper(const sdk::Vm& vm, const sdk::Process& keeper, sdk::Call& call);
    sdk::VmStatus launch(const sdk::Vm& vm, const Root& root, sdk::Call& call);
    void watch(std::uint64_t vm_id);
    void on_end(std::uint64_t vm_id, const Fields& last);
    // Takes away whatever a container had; throws QVD_UNAVAILABLE if something will not go.
    void release(std::uint64_t vm_id, const std::string& device);
    void release_cgroups(std::uint64_t vm_id);
    // Whether what bears this VM's name is this node's. Another node of this machine, or whoever
    // else, may use the same prefixes: a container or link without record is theirs.
    bool is_ours(std::uint64_t vm_id);
    // Throws QVD_CONFLICT if the names that the VM needs are somebody else's.
    void claim_names(std::uint64_t vm_id, const std::string& device);
    void remove_empty_cgroups(std::uint64_t vm_id);
    void set_frozen(std::uint64_t vm_id, bool frozen);
    void thaw(std::uint64_t vm_id);
    sdk::VmStatus status_now(std::uint64_t vm_id, const Fields& said);
    void forget_quiet_end(std::uint64_t vm_id);
    std::set<std::uint64_t> traces();
    std::set<std::uint64_t> with_files();

    sdk::Core core_;
    const Settings& settings_;
    RootStore& store_;
    std::atomic<bool> told_of_homes_{false};
    sdk::VmEvents events_;
    sdk::Processes processes_;
    std::mutex mutex_;  // guards locks_
    std::map<std::uint64_t, std::unique_ptr<std::mutex>> locks_;
    Watcher watcher_;  // last: its thread uses all of the above
};

}  // namespace qvd::lxc
