// The keys of the node's side: VMs, their network, their time-outs.
#pragma once

#include "config/forms.hpp"
#include "config/key.hpp"

namespace qvd::hkd {

namespace form = config::form;

using config::Key;
using config::Range;
using Seconds = std::chrono::seconds;

// ---- VMs (manual 2, behaviour 5.8 and 5.9) ---------------------------------------------------

inline constexpr Key<std::int64_t> vm_starting_max{
    "hkd.vm.starting.max",
    "6",
    "VMs",
    "how many VMs of a node may be starting at once; those that stop or are zombies do not count",
    0,
    Range{1, 10000}};
inline constexpr Key<config::Word> vm_failure{
    "hkd.vm.failure", "block", "block|retry|ignore|debug",
    "what becomes of a VM that fails to start or dies: closed to its user; started again, later "
    "each time, and closed in the end; just left as failed; or kept running for a look into it "
    "where only its agent is missing, and closed otherwise"};
inline constexpr Key<std::int64_t> vm_failure_attempts{
    "hkd.vm.failure.retry.max",
    "5",
    "starts",
    "with hkd.vm.failure = retry: after this many failures in a row, of its start or later, the VM "
    "is given up",
    0,
    Range{1, 1000}};
inline constexpr Key<Seconds> vm_failure_pause{
    "hkd.vm.failure.retry.delay",
    "10",
    "seconds",
    "how long after the first failure it is started again; twice as long after each further one",
    0,
    Range{1, 86400}};
inline constexpr Key<Seconds> vm_failure_longest_pause{
    "hkd.vm.failure.retry.delay.max",
    "300",
    "seconds",
    "the longest time between two starts of a VM that fails",
    0,
    Range{1, 86400}};
inline constexpr Key<Seconds> vm_failure_reset{
    "hkd.vm.failure.retry.reset",
    "600",
    "seconds",
    "a VM that has run this long is sound again: its failures so far do not count any more",
    0,
    Range{1, 604800}};
inline constexpr Key<bool> vm_overlay_persistent{
    "vm.overlay.persistent", "0", "",
    "whether a VM finds its own changes to the image at its next start"};
inline constexpr Key<bool> vm_home_per_user{
    "vm.lxc.home.per.user", "0", "", "containers: one home folder per user instead of one per VM"};
inline constexpr Key<bool> vm_debug{"internal.vm.debug.enable", "0", "",
                                    "keep a VM whose agent does not answer, as state debug",
                                    config::internal};
inline constexpr Key<std::int64_t> vma_port{
    "internal.vm.port.vma",    "3030",           "",
    "where the agent listens", config::internal, Range{1, 65535}};
inline constexpr Key<std::int64_t> nxagent_display{
    "internal.nxagent.display", "100",         "", "the X display in a VM; NX listens at 4000 more",
    config::internal,           Range{1, 1999}};

// ---- the network (manual 2, behaviour 2.11 and 2.12) -----------------------------------------

inline constexpr Key<std::string> network_bridge{
    "vm.network.bridge",
    "qvdnet0",
    "",
    "the bridge that VMs are attached to, at most 15 characters",
    0,
    {},
    &form::device};
inline constexpr Key<bool> network_bridge_create{
    "vm.network.bridge.create", config::unset, "",
    "whether the node makes the bridge and gives it the node's address; unset: with the embedded "
    "database, yes"};
inline constexpr Key<std::string> network_ip_start{
    "vm.network.ip.start",
    config::unset,
    "",
    "the first address for VMs; those below belong to nodes",
    config::required,
    {},
    &form::ipv4};
inline constexpr Key<std::string> network_netmask{
    "vm.network.netmask",
    config::unset,
    "",
    "prefix length or dotted mask of the VMs' network",
    config::required,
    {},
    &form::netmask};
inline constexpr Key<std::string> network_gateway{
    "vm.network.gateway", "", "", "the VMs' router; empty: the node itself", 0, {}, &form::ipv4};
inline constexpr Key<config::List> network_dns_server{
    "vm.network.dns_server",
    "",
    "",
    "name servers for VMs, comma-separated; empty, with DHCP: the node",
    0,
    {},
    &form::ipv4};
inline constexpr Key<std::string> network_domain{
    "vm.network.domain", "", "", "the domain in which VMs look up short names", 0, {}, &form::host};
inline constexpr Key<bool> network_use_dhcp{
    "vm.network.use_dhcp", "0", "",
    "whether VMs ask for their address, of a dnsmasq that the node runs on its bridge, instead of "
    "being told it"};
inline constexpr Key<config::Path> dnsmasq_program{"command.dnsmasq", "/usr/sbin/dnsmasq", "",
                                                   "for vm.network.use_dhcp = 1"};
inline constexpr Key<std::string> network_mac_prefix{
    "vm.network.mac.prefix", "54:52:00", "", "the first half of each VM's MAC address", 0, {},
    &form::mac_prefix};
inline constexpr Key<std::string> network_nat_interface{
    "vm.network.firewall.nat.iface",
    "",
    "",
    "VMs reach the world through this interface with the node's address; empty: not at all by this "
    "node",
    0,
    {},
    &form::device};
inline constexpr Key<bool> network_firewall{
    "internal.vm.network.firewall.enable", "1", "",
    "whether the node keeps VMs from nodes and from one another", config::internal};
inline constexpr Key<std::string> network_device_prefix{
    "internal.vm.network.device.prefix",
    "qvd",
    "",
    "the node's end of a VM's network link is called this and the VM's id",
    config::internal,
    {},
    &form::device_stem};

// ---- storage (manual 8, 15) ------------------------------------------------------------------

inline constexpr Key<Seconds> collect_interval{
    "hkd.storage.collect.interval",
    "3600",
    "seconds",
    "how often the node removes from its storage what nobody needs any more; 0: only when told to, "
    "by qa storage gc",
    0,
    Range{0, 31536000}};
inline constexpr Key<Seconds> collect_age{
    "hkd.storage.collect.age",
    "86400",
    "seconds",
    "how long nobody must have needed it: unpacked images, overlays, memory, checkpoints and "
    "snapshots of what was deleted, checkpoints that no VM goes back to, and whatever was left "
    "half "
    "made or half removed",
    0,
    Range{0, 31536000}};
inline constexpr Key<Seconds> collect_images_age{
    "hkd.storage.collect.images.age",
    "0",
    "seconds",
    "the same for the files of images that were deleted without --purge; 0: they stay",
    0,
    Range{0, 315360000}};
inline constexpr Key<Seconds> collect_homes_age{"hkd.storage.collect.homes.age",
                                                "0",
                                                "seconds",
                                                "the same for homes, once their VM is deleted, or "
                                                "their user where vm.lxc.home.per.user is set; "
                                                "0: they stay",
                                                0,
                                                Range{0, 315360000}};
inline constexpr Key<config::Mebibytes> collect_space{
    "hkd.storage.collect.space",
    "1024",
    "MiB",
    "with less room than this for unpacked images, those that no VM runs from go, too, longest "
    "unused first; they are unpacked again when they are needed; 0: never",
    0,
    Range{0, 1000000000}};

// ---- time-outs -------------------------------------------------------------------------------

inline constexpr Key<Seconds> image_timeout{
    "internal.hkd.vm.timeout.image",        "1800",           "seconds",
    "how long unpacking an image may take", config::internal, Range{1, 86400}};
// This, a slot, and ...max_time.on.starting are within the 270 s that a client waits.
inline constexpr Key<Seconds> launch_timeout{
    "internal.hkd.vm.timeout.launch",
    "60",
    "seconds",
    "how long a hypervisor may take to start, stop or clean up a VM",
    config::internal,
    Range{1, 3600}};
inline constexpr Key<Seconds> stopping_1_timeout{
    "internal.hkd.vm.timeout.on_state.stopping_1",
    "30",
    "seconds",
    "how long a VM may take to accept that it shall shut down",
    config::internal,
    Range{1, 3600}};
inline constexpr Key<Seconds> stopping_2_timeout{
    "internal.hkd.vm.timeout.on_state.stopping_2",
    "180",
    "seconds",
    "how long a VM may take to shut down",
    config::internal,
    Range{1, 86400},
    nullptr,
    "internal.hkd.lxc.timeout.on_state.stopping.shutdown.waiting_for_lxc "
    "internal.hkd.kvm.timeout.on_state.stopping.shutdown.waiting_for_kvm"};
inline constexpr Key<Seconds> zombie_1_timeout{
    "internal.hkd.vm.timeout.on_state.zombie_1",
    "120",
    "seconds",
    "how long a VM that does not answer has between TERM and KILL",
    config::internal,
    Range{1, 3600},
    nullptr,
    "internal.hkd.lxc.timeout.on_state.zombie.reap.waiting_for_lxc "
    "internal.hkd.kvm.timeout.on_state.zombie.reap.waiting_for_kvm"};
inline constexpr Key<Seconds> zombie_2_timeout{
    "internal.hkd.vm.timeout.on_state.zombie_2",
    "60",
    "seconds",
    "how long after a KILL that left something behind the next one comes",
    config::internal,
    Range{1, 3600},
    nullptr,
    "internal.hkd.lxc.timeout.on_state.zombie.reap.delaying "
    "internal.hkd.kvm.timeout.on_state.zombie.reap.delaying"};
inline constexpr Key<std::int64_t> rpc_retry_count{"internal.hkd.agent.rpc.retry.count",
                                                   "3",
                                                   "calls",
                                                   "how often an agent is asked to power off",
                                                   config::internal,
                                                   Range{1, 100}};
inline constexpr Key<Seconds> rpc_retry_delay{"internal.hkd.agent.rpc.retry.delay",
                                              "5",
                                              "seconds",
                                              "the time between two of these calls",
                                              config::internal,
                                              Range{0, 600}};
inline constexpr Key<Seconds> rpc_timeout{"internal.hkd.agent.rpc.timeout",
                                          "3",
                                          "seconds",
                                          "how long one call to an agent may take",
                                          config::internal,
                                          Range{1, 60}};
inline constexpr Key<std::int64_t> starting_max_count{
    "internal.hkd.vmhandler.vma.failed.max_count.on.starting",
    "40",
    "calls",
    "a starting VM has failed after this many unanswered calls",
    config::internal,
    Range{1, 1000000}};
inline constexpr Key<Seconds> starting_max_time{
    "internal.hkd.vmhandler.vma.failed.max_time.on.starting",
    "180",
    "seconds",
    "... and this much time",
    config::internal,
    Range{1, 86400}};
inline constexpr Key<std::int64_t> running_max_count{
    "internal.hkd.vmhandler.vma.failed.max_count.on.running",
    "10",
    "calls",
    "a running VM is lost after this many unanswered calls in a row",
    config::internal,
    Range{1, 1000000}};
inline constexpr Key<Seconds> running_max_time{
    "internal.hkd.vmhandler.vma.failed.max_time.on.running",
    "320",
    "seconds",
    "... and this much time since the last answer",
    config::internal,
    Range{1, 86400}};
inline constexpr Key<Seconds> delay_after_error{
    "internal.hkd.vmhandler.vma_monitor.delay.after.error",
    "10",
    "seconds",
    "the time between calls to an agent that did not answer",
    config::internal,
    Range{1, 3600}};
inline constexpr Key<Seconds> delay_after_ok{"internal.hkd.vmhandler.vma_monitor.delay.after.ok",
                                             "120",
                                             "seconds",
                                             "the time between calls to an agent that answers",
                                             config::internal,
                                             Range{1, 3600}};
inline constexpr Key<Seconds> ticker_delay{"internal.hkd.agent.ticker.delay",
                                           "10",
                                           "seconds",
                                           "how often the node reports its load",
                                           config::internal,
                                           Range{1, 3600}};
inline constexpr Key<std::chrono::milliseconds> command_delay{
    "internal.hkd.agent.vm_command_handler.delay",
    "1000",
    "milliseconds",
    "how often the node looks for orders that it was not told of",
    config::internal,
    Range{100, 600000}};
inline constexpr Key<Seconds> config_delay{
    "internal.hkd.agent.config.delay",
    "10",
    "seconds",
    "the time after which something that failed at the node's start is tried again",
    config::internal,
    Range{1, 3600}};
inline constexpr Key<Seconds> expiration_delay{
    "internal.hkd.agent.expiration_monitor.delay",
    "60",
    "seconds",
    "how often the node looks for VMs whose time has come (expire-soft, expire-hard)",
    config::internal,
    Range{1, 86400}};
inline constexpr Key<Seconds> stopping_vms_timeout{
    "internal.hkd.stopping.vms.timeout",
    "300",
    "seconds",
    "how long the VMs of a node that is evacuated may take to shut down",
    config::internal,
    Range{1, 86400}};
inline constexpr Key<Seconds> killing_vms_retry_timeout{
    "internal.hkd.killing.vms.retry.timeout",
    "100",
    "seconds",
    "... and the time between attempts to kill those that did not",
    config::internal,
    Range{1, 3600}};

inline void declare(config::KeySet& keys) {
    keys.add(vm_starting_max, vm_failure, vm_failure_attempts, vm_failure_pause,
             vm_failure_longest_pause, vm_failure_reset, vm_overlay_persistent, vm_home_per_user,
             vm_debug, vma_port, nxagent_display);
    keys.add(network_bridge, network_bridge_create, network_ip_start, network_netmask,
             network_gateway, network_dns_server, network_domain, network_use_dhcp, dnsmasq_program,
             network_mac_prefix, network_nat_interface, network_firewall, network_device_prefix);
    keys.add(collect_interval, collect_age, collect_images_age, collect_homes_age, collect_space);
    keys.add(image_timeout, launch_timeout, stopping_1_timeout, stopping_2_timeout,
             zombie_1_timeout, zombie_2_timeout, rpc_retry_count, rpc_retry_delay, rpc_timeout);
    keys.add(starting_max_count, starting_max_time, running_max_count, running_max_time,
             delay_after_error, delay_after_ok, ticker_delay, command_delay, config_delay,
             expiration_delay, stopping_vms_timeout, killing_vms_retry_timeout);
}

}  // namespace qvd::hkd
