// The checks of `qa doctor`. None starts or changes anything that outlives it; each works whatever
// else is broken, and says so where it needs root. Blocking.
#pragma once

#include "admin/doctor/diagnosis.hpp"
#include "config/view.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace qvd::admin::doctor {

// The findings of the node's file: wrong values, unknown keys, required keys that are missing.
Diagnoses check_configuration(const config::View& view, const std::string& file);

// Who may read and change the node's file: root runs what it names, and it may hold passwords.
Diagnoses check_file(const config::View& view, const std::string& file);

// OS users and groups.
Diagnoses check_users(const config::View& view, bool embedded);
// Where a machine shows itself.
struct Machine {
    std::string proc = "/proc";
    std::string sys = "/sys";
    std::string dev = "/dev";
    std::string usr = "/usr";
    std::string run = "/run";
};
Diagnoses check_kernel(const config::View& view, const Machine& machine = {});

// What this node's VMs are run by and made of, by its configuration and the properties of OSFs.
struct InUse {
    std::set<std::string> hypervisors;  // plugins
    std::set<std::string> unions;       // types that lxc-unionfs is to do

    [[nodiscard]] bool containers() const {
        return hypervisors.contains("lxc-unionfs") || hypervisors.contains("lxc-btrfs");
    }
};
// The value of a plugin's key, which nobody has declared where the plugin is not installed.
std::string plugin_text(const config::View& view, const std::string& key,
                        const std::string& fallback);
// `hypervisors`, `unions`: the values of vm.hypervisor and vm.lxc.unionfs.type among properties.
InUse in_use(const config::View& view, const std::vector<std::string>& hypervisors,
             const std::vector<std::string>& unions);
// The programs that a node with those starts; each is run for a moment, at most 5 s. `postgres`:
// where the versions of PostgreSQL are.
Diagnoses check_programs(const config::View& view, const InUse& use, bool embedded,
                         const std::string& postgres = "/usr/lib/postgresql");
// Union programs, kernel and storage for containers.
Diagnoses check_containers(const config::View& view, const InUse& use, const Machine& machine = {});
// Whether those can have ids of their own, as vm.lxc.unprivileged wants it.
Diagnosis check_unprivileged(const config::View& view, const InUse& use);
// QEMU, libvirt and the processor for the hypervisor kvm.
Diagnoses check_guests(const config::View& view, const InUse& use, const Machine& machine = {});

// The folders of path.storage.*: there, writable, with room, closed to other users where
// containers' root makes files, fit for overlays if they are in use.
Diagnoses check_storage(const config::View& view, const InUse& use);

// Which of the node's folders must be on its own disks, and whether those that nodes may share let
// root give files to others.
Diagnoses check_local_storage(const config::View& view, const InUse& use,
                              const Machine& machine = {});

// What the supervisor answered to "status json".
Diagnosis check_status(const std::string& answer);
// Where it says that it listens, "0.0.0.0:8443"; empty: nowhere.
std::string listening_of(const std::string& answer);

// The bridge and the node's address, if it is known.
Diagnoses check_bridge(const config::View& view, const std::optional<std::string>& node_address,
                       bool embedded);
// The port of l7r. `listening`: where the node says that it listens, empty if none runs; nothing if
// nobody could be asked.
Diagnosis check_port(const config::View& view, const std::optional<std::string>& listening);

// Opens every plugin that the configuration names, which runs its code: call it in_child().
Diagnoses check_plugins(const config::View& view, const InUse& use);

}  // namespace qvd::admin::doctor
