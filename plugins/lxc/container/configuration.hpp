// What liblxc is told about one container, made from the keeper's order.
#pragma once

#include "common/cgroups.hpp"
#include "common/fields.hpp"

#include <string>
#include <utility>
#include <vector>

namespace qvd::lxc {

using Items = std::vector<std::pair<std::string, std::string>>;  // key of lxc.container.conf, value

// Keys of the order: name, rootfs, init, memory_mib, swap_mib, cpu_weight, cpus, cpuset, pids_max,
// bridge, veth, mac, mtu, address (with prefix; repeated), gateway (repeated), token, home,
// home_target, device (path; repeated), file ("SOURCE TARGET", mounted read-only; repeated), tmpfs
// ("TARGET OPTIONS"; repeated), seccomp, terminal, started_hook, ended_hook, halt_signal,
// apparmor, ttys, sys_admin (1: keeps the capability), environment ("NAME=VALUE" of init;
// repeated), extra ("key = value"; repeated). A missing one leaves out what belongs to it.
// `apparmor`: the file that says whether the kernel's AppArmor is on, "Y".
Items configuration(const Fields& order, const CgroupLayout& layout = CgroupLayout::read(),
                    const std::string& apparmor = "/sys/module/apparmor/parameters/enabled");

}  // namespace qvd::lxc
