// What containers leave behind, and whose it is.
#include "backend/containers.hpp"
#include "backend/folders.hpp"
#include "backend/mounts.hpp"
#include "backend/network.hpp"
#include "common/cgroups.hpp"
#include "common/files.hpp"

#include <unistd.h>

#include <algorithm>
#include <thread>

namespace qvd::lxc {

namespace {

constexpr std::chrono::milliseconds cgroup_patience{5000};  // until killed processes are gone
constexpr std::chrono::milliseconds look_again{5};

// The VM's number at the beginning of "7.sock" or "7-fs", or behind a prefix.
std::optional<std::uint64_t> number_of(std::string_view text) {
    const auto number = parse_number(text);
    if (!number || *number <= 0) return std::nullopt;
    return static_cast<std::uint64_t>(*number);
}

}  // namespace

void Containers::release_cgroups(std::uint64_t vm_id) {
    const std::string container = settings_.container_of(vm_id);
    const auto until = std::chrono::steady_clock::now() + cgroup_patience;
    for (const std::string& name : {monitor_cgroup(container), payload_cgroup(container)}) {
        kill_cgroup(name);
        while (!remove_cgroup(name)) {
            if (std::chrono::steady_clock::now() > until)
                throw sdk::Failure(QVD_UNAVAILABLE,
                                   "processes in the cgroup " + name + " do not end");
            std::this_thread::sleep_for(look_again);
            kill_cgroup(name);
        }
    }
}

void Containers::remove_empty_cgroups(std::uint64_t vm_id) {
    const std::string container = settings_.container_of(vm_id);
    for (const std::string& name : {monitor_cgroup(container), payload_cgroup(container)})
        if (!cgroup_is_busy(name)) remove_cgroup(name);
}

// A keeper writes its files before it makes anything, and they are forgotten after all the rest.
bool Containers::is_ours(std::uint64_t vm_id) {
    const std::vector<std::uint64_t> mounted = store_.mounted();
    return with_files().contains(vm_id) ||
           std::find(mounted.begin(), mounted.end(), vm_id) != mounted.end();
}

void Containers::claim_names(std::uint64_t vm_id, const std::string& device) {
    if (is_ours(vm_id)) return;
    remove_empty_cgroups(vm_id);
    const std::string container = settings_.container_of(vm_id);
    for (const std::string& name : {monitor_cgroup(container), payload_cgroup(container)})
        if (cgroup_is_busy(name))
            throw sdk::Failure(QVD_CONFLICT,
                               "the container " + container +
                                   " runs already, and is not this node's: nodes of one machine "
                                   "need different internal.vm.lxc.name.prefix");
    if (!device.empty() && link_exists(device))
        throw sdk::Failure(QVD_CONFLICT,
                           "the network device " + device +
                               " is there already, and is not this node's: nodes of one machine "
                               "need different internal.vm.network.device.prefix");
}

void Containers::release(std::uint64_t vm_id, const std::string& device) {
    if (is_ours(vm_id)) {
        release_cgroups(vm_id);
        for (const std::string& name : {settings_.device_prefix + std::to_string(vm_id), device})
            if (!name.empty() && !delete_link(name))
                throw sdk::Failure(QVD_UNAVAILABLE, "cannot remove the network device " + name);
    } else {
        remove_empty_cgroups(vm_id);
    }
    const auto until = std::chrono::steady_clock::now() + cgroup_patience;
    while (!store_.unmount(vm_id)) {  // the kernel takes a namespace apart in the background
        if (std::chrono::steady_clock::now() > until)
            throw sdk::Failure(QVD_UNAVAILABLE, settings_.place_of(vm_id) +
                                                    " cannot be unmounted: something uses it");
        std::this_thread::sleep_for(look_again);
    }
    if (!unmount_all(settings_.given_to(vm_id)))
        throw sdk::Failure(QVD_UNAVAILABLE,
                           settings_.given_to(vm_id) + " cannot be unmounted: something uses it");
    remove_tree(settings_.given_to(vm_id));
    for (const char* suffix : {".sock", ".console.sock", ".token", ".token.new", ".state.new",
                               ".hostname", ".hosts", ".resolv.conf"})
        ::unlink(settings_.file_of(vm_id, suffix).c_str());
    remove_tree(settings_.run + "/" + settings_.container_of(vm_id));  // what liblxc's tools read
}

void Containers::forget(std::uint64_t vm_id) {
    for (const char* suffix : {".state", ".console.log", ".console.log.1", ".lxc.log"})
        ::unlink(settings_.file_of(vm_id, suffix).c_str());
}

std::set<std::uint64_t> Containers::with_files() {
    std::set<std::uint64_t> vms;
    for (const std::string& name : names_in(settings_.run)) {
        const std::size_t dot = name.find('.');
        if (dot == std::string::npos) continue;
        if (const auto vm = number_of(std::string_view(name).substr(0, dot))) vms.insert(*vm);
    }
    return vms;
}

std::set<std::uint64_t> Containers::traces() {
    std::set<std::uint64_t> vms = with_files();
    for (const std::string& prefix :
         {payload_cgroup(settings_.container_prefix), monitor_cgroup(settings_.container_prefix)})
        for (const std::string& name : cgroups_named(prefix))
            if (const auto vm = number_of(std::string_view(name).substr(prefix.size())))
                vms.insert(*vm);
    for (const std::uint64_t vm : store_.mounted()) vms.insert(vm);
    for (const std::string& name : names_in(settings_.given))
        if (const auto vm = number_of(name)) vms.insert(*vm);
    return vms;
}

void Containers::collect(const std::set<std::string>& keep_uuids) {
    std::string trouble;
    for (const std::uint64_t vm_id : traces()) {
        const auto lock = hold(vm_id);
        if (ask(vm_id, "state")) continue;
        try {
            release(vm_id, std::string());
            const auto state = left_behind(vm_id);
            if (!state || !keep_uuids.contains(state->get("uuid"))) forget(vm_id);
        } catch (const sdk::Failure& left) {
            trouble +=
                (trouble.empty() ? "VM " : "; VM ") + std::to_string(vm_id) + ": " + left.what();
        }
    }
    if (!trouble.empty()) throw sdk::Failure(QVD_UNAVAILABLE, trouble);
}

}  // namespace qvd::lxc
