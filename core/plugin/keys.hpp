// The keys that say which plugins are used, and those that the core services read.
#pragma once

#include "config/forms.hpp"
#include "config/key.hpp"

namespace qvd::plugin {

inline constexpr config::Key<config::List> authenticators{
    "l7r.auth.plugins",        "default", "", "the authenticators, asked in this order", 0, {},
    &config::form::plugin_name};
inline constexpr config::Key<std::string> balancer{
    "l7r.loadbalancer.plugin", "default", "", "the load balancer; default is weighted", 0, {},
    &config::form::plugin_name};
inline constexpr config::Key<std::string> hypervisor{
    "vm.hypervisor",
    "kvm",
    "",
    "the backend that runs VMs; lxc is lxc-unionfs or lxc-btrfs",
    0,
    {},
    &config::form::plugin_name};
inline constexpr config::Key<config::List> hypervisors{
    "hkd.hypervisor.plugins",  "", "", "the backends to load; empty: those in use", 0, {},
    &config::form::plugin_name};
inline constexpr config::Key<config::Word> unionfs_type{
    "vm.lxc.unionfs.type", "overlayfs", "overlayfs|unionfs-fuse|fuse-overlayfs|bind|btrfs",
    "how a container's file system is put together; btrfs makes lxc mean lxc-btrfs"};

inline constexpr config::Key<std::int64_t> vm_kvm_cpus{
    "vm.kvm.cpus", "2", "CPUs", "how many CPUs a virtual machine sees", 0, config::Range{1, 1024}};

inline constexpr config::Key<std::string> upstream_salt{
    "l7r.auth.plugin.default.salt", "qvd1234", "",
    "the salt of passwords that the original stored; they are replaced at the next login"};
inline constexpr config::Key<bool> login_case_sensitive{"model.user.login.case-sensitive", "0", "",
                                                        "whether Bob and bob are two users"};

// The plugin that the hypervisor `lxc` means, by vm.lxc.unionfs.type.
inline std::string lxc_plugin(const std::string& type) {
    return type == "btrfs" ? "lxc-btrfs" : "lxc-unionfs";
}

inline void declare(config::KeySet& keys) {
    keys.add(authenticators, balancer, hypervisor, hypervisors, unionfs_type, vm_kvm_cpus,
             upstream_salt, login_case_sensitive);
}

}  // namespace qvd::plugin
