// What VMs of this node are run by, and what their files are made of.
#include "admin/doctor/checks.hpp"
#include "base/file.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"
#include "plugin/keys.hpp"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace qvd::admin::doctor {

namespace {

// A module counts: it is loaded when somebody first asks for it.
bool kernel_has(const std::string& file_system, const Machine& machine) {
    const auto known = file::read(machine.proc + "/filesystems");
    if (known.ok() && known->find("\t" + file_system + "\n") != std::string::npos) return true;
    const auto release = file::read(machine.proc + "/sys/kernel/osrelease");
    if (!release.ok()) return false;
    const auto modules = file::read(
        machine.usr + "/lib/modules/" + std::string(text::trim(*release)) + "/modules.dep",
        8U << 20U);
    return modules.ok() && modules->find("/" + file_system + ".ko") != std::string::npos;
}

Diagnosis check_overlayfs(const Machine& machine) {
    if (kernel_has("overlay", machine)) return good("kernel.overlayfs", "the kernel has overlayfs");
    return problem("kernel.overlayfs",
                   "the kernel has no overlayfs: containers with vm.lxc.unionfs.type = overlayfs "
                   "cannot start",
                   "modprobe overlay, and name it in /etc/modules");
}

Diagnosis check_fuse(const Machine& machine) {
    if (::access((machine.dev + "/fuse").c_str(), F_OK) == 0)
        return good("kernel.fuse", "/dev/fuse is there");
    return warning("kernel.fuse",
                   "/dev/fuse is missing: containers have none, and what mounts by it in them "
                   "(sshfs) will not work",
                   "modprobe fuse");
}

Diagnosis check_daemon(const config::View& view, const std::string& type, const Machine& machine) {
    const std::string name = "union." + type;
    const std::string key = "command." + type;
    const std::string program = plugin_text(view, key, "/usr/bin/" + type);
    const std::string needed = "containers with vm.lxc.unionfs.type = " + type + " cannot start: ";
    if (::access(program.c_str(), X_OK) != 0)
        return problem(name, needed + "there is no program " + program,
                       "apt-get install " + type + ", or set " + key + " to where it is");
    if (!kernel_has("fuse", machine) || ::access((machine.dev + "/fuse").c_str(), F_OK) != 0)
        return problem(name, needed + "there is no FUSE", "modprobe fuse");
    return good(name, program + " is there for vm.lxc.unionfs.type = " + type);
}

// liblxc has it load the profile that it makes for each container.
Diagnosis check_apparmor(const config::View& view, const Machine& machine) {
    constexpr const char* name = "program.apparmor_parser";
    const std::string profile = plugin_text(view, "vm.lxc.apparmor.profile", "auto");
    if (profile != "auto")
        return good(
            name, "containers have the AppArmor profile " + profile + " (vm.lxc.apparmor.profile)");
    const auto enabled = file::read(machine.sys + "/module/apparmor/parameters/enabled");
    if (!enabled.ok() || !enabled->starts_with("Y"))
        return good(name, "AppArmor is off: containers are not confined by it");
    if (::access((machine.usr + "/sbin/apparmor_parser").c_str(), X_OK) == 0)
        return good(name, "AppArmor confines containers");
    return problem(name, "AppArmor is on, and there is no apparmor_parser: no container can start",
                   "apt-get install apparmor, or set vm.lxc.apparmor.profile = unconfined");
}

Diagnosis check_btrfs(const config::View& view, const Machine& machine) {
    const std::string folder = view.get(config::path_storage_btrfs_root);
    const bool has_tool = ::access((machine.usr + "/sbin/mkfs.btrfs").c_str(), X_OK) == 0;
    const std::string how =
        std::string(has_tool ? "" : "apt-get install btrfs-progs; ") +
        "mkfs.btrfs DEVICE; mount DEVICE " + folder +
        " (or in a file: truncate -s 20G FILE; mkfs.btrfs FILE; mount -o loop FILE " + folder + ")";
    struct statfs found {};
    if (::statfs(folder.c_str(), &found) != 0)
        return problem("storage.btrfs",
                       folder +
                           " (path.storage.btrfs.root) does not exist: VMs of lxc-btrfs "
                           "cannot start",
                       how);
    if (found.f_type != BTRFS_SUPER_MAGIC)
        return problem("storage.btrfs",
                       folder +
                           " (path.storage.btrfs.root) is on no btrfs: VMs of lxc-btrfs "
                           "cannot start",
                       kernel_has("btrfs", machine) ? how : "modprobe btrfs; " + how);
    return good("storage.btrfs", folder + " is on a btrfs");
}

}  // namespace

std::string plugin_text(const config::View& view, const std::string& key,
                        const std::string& fallback) {
    if (view.keys().find(key) != nullptr) return view.text(key).value_or(fallback);
    auto keys = std::make_shared<config::KeySet>(view.keys());
    const auto declared = keys->declare({.name = key, .fallback = fallback});
    return declared.ok() ? view.with_keys(keys).text(key).value_or(fallback) : fallback;
}

InUse in_use(const config::View& view, const std::vector<std::string>& hypervisors,
             const std::vector<std::string>& unions) {
    InUse use;
    const std::vector<std::string> listed = view.get(plugin::hypervisors);
    std::vector<std::string> named = listed;
    if (named.empty()) {
        named = hypervisors;
        named.push_back(view.get(plugin::hypervisor));
    }
    std::vector<std::string> types = unions;
    types.push_back(view.get(plugin::unionfs_type));
    for (const std::string& name : named) {
        if (name.empty()) continue;
        for (const std::string& type : types)
            use.hypervisors.insert(name == "lxc" ? plugin::lxc_plugin(type) : name);
    }
    if (!use.hypervisors.contains("lxc-unionfs")) return use;
    for (const std::string& type : types) use.unions.insert(type == "btrfs" ? "overlayfs" : type);
    // Where all say btrfs, lxc-unionfs is asked for by its name, and then does overlayfs.
    return use;
}

Diagnoses check_containers(const config::View& view, const InUse& use, const Machine& machine) {
    Diagnoses diagnoses;
    if (use.containers()) {
        diagnoses.push_back(check_apparmor(view, machine));
        diagnoses.push_back(check_fuse(machine));
        diagnoses.push_back(check_unprivileged(view, use));
    }
    for (const std::string& type : use.unions) {
        if (type == "overlayfs")
            diagnoses.push_back(check_overlayfs(machine));
        else if (type == "unionfs-fuse" || type == "fuse-overlayfs")
            diagnoses.push_back(check_daemon(view, type, machine));
        else if (type != "bind")
            diagnoses.push_back(problem(
                "union." + type, "vm.lxc.unionfs.type = " + type + " of an OSF or VM is unknown",
                "set it to overlayfs, unionfs-fuse, fuse-overlayfs, bind or btrfs"));
    }
    if (use.hypervisors.contains("lxc-btrfs")) diagnoses.push_back(check_btrfs(view, machine));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
