// The keys that say which plugins are used, and those that the core services read.
#pragma once

#include "config/key.hpp"

namespace qvd::plugin {

inline constexpr config::Key<config::List> authenticators{
    "l7r.auth.plugins", "default", "", "the authenticators, asked in this order"};
inline constexpr config::Key<std::string> balancer{"l7r.loadbalancer.plugin", "default", "",
                                                   "the load balancer; default is weighted"};
inline constexpr config::Key<std::string> hypervisor{
    "vm.hypervisor", "kvm", "", "the backend that runs VMs; lxc is lxc-unionfs or lxc-btrfs"};
inline constexpr config::Key<config::List> hypervisors{"hkd.hypervisor.plugins", "", "",
                                                       "the backends to load; empty: those in use"};
inline constexpr config::Key<std::string> unionfs_type{
    "vm.lxc.unionfs.type", "overlayfs", "",
    "how a container's file system is put together; btrfs makes lxc mean lxc-btrfs"};

inline constexpr config::Key<std::string> upstream_salt{
    "l7r.auth.plugin.default.salt", "qvd1234", "",
    "the salt of passwords that the original stored; they are replaced at the next login"};
inline constexpr config::Key<bool> login_case_sensitive{"model.user.login.case-sensitive", "0", "",
                                                        "whether Bob and bob are two users"};

inline void declare(config::KeySet& keys) {
    keys.add(authenticators, balancer, hypervisor, hypervisors, unionfs_type, upstream_salt,
             login_case_sensitive);
}

}  // namespace qvd::plugin
