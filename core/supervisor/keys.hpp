// The keys of the supervisor itself.
#pragma once

#include "config/forms.hpp"
#include "config/key.hpp"

namespace qvd::supervisor {

inline constexpr config::Key<std::int64_t> l7r_port{
    "l7r.port", "8443", "", "the port that clients connect to", 0, config::Range{1, 65535}};
inline constexpr config::Key<std::string> l7r_address{
    "l7r.address",
    "*",
    "",
    "the address that clients connect to, in figures; *: every one, IPv4 and IPv6",
    0,
    {},
    &config::form::listener};
inline constexpr config::Key<std::int64_t> l7r_workers{
    "l7r.workers",        "0", "", "how many l7r processes; 0: as many as there are processors", 0,
    config::Range{0, 256}};
inline constexpr config::Key<std::chrono::seconds> l7r_drain_timeout{
    "l7r.drain.timeout",
    "0",
    "seconds",
    "how long a replaced l7r process may keep its sessions; 0: to their end",
    0,
    config::Range{0, 4'000'000}};
inline constexpr config::Key<std::chrono::seconds> node_stop_timeout{
    "node.stop.timeout", "10",
    "seconds",           "how long `qvd-node stop` lets sessions and logins end on their own",
    config::file_only,   config::Range{0, 3600}};
inline constexpr config::Key<std::chrono::seconds> node_evacuate_timeout{
    "node.evacuate.timeout",
    "600",
    "seconds",
    "how long `qvd-node stop --vms` waits for the VMs to stop",
    config::file_only,
    config::Range{1, 86400}};

inline constexpr config::Key<std::chrono::milliseconds> restart_delay_min{
    "internal.node.restart.delay.min",
    "100",
    "milliseconds",
    "before a role that died is started again; doubled each time it dies young",
    config::file_only | config::internal,
    config::Range{1, 60'000}};
inline constexpr config::Key<std::chrono::milliseconds> restart_delay_max{
    "internal.node.restart.delay.max",
    "30s",
    "milliseconds",
    "the longest such delay, and the age at which a role is no longer young",
    config::file_only | config::internal,
    config::Range{1, 3'600'000}};
inline constexpr config::Key<std::chrono::milliseconds> start_timeout{
    "internal.node.start.timeout",
    "30s",
    "milliseconds",
    "how long a new role may take to its first sign of life",
    config::file_only | config::internal,
    config::Range{100, 3'600'000}};
inline constexpr config::Key<std::chrono::milliseconds> overdue_timeout{
    "internal.node.overdue.timeout",
    "30s",
    "milliseconds",
    "how long a call may be past its deadline before its role is killed",
    config::file_only | config::internal,
    config::Range{100, 3'600'000}};
inline constexpr config::Key<std::string> l7r_user{"internal.node.l7r.user", "qvd-l7r", "",
                                                   "the OS user of the l7r processes",
                                                   config::file_only | config::internal};
inline constexpr config::Key<std::string> broker_user{"internal.node.broker.user", "qvd-broker", "",
                                                      "the OS user of the broker",
                                                      config::file_only | config::internal};

inline void declare(config::KeySet& keys) {
    keys.add(l7r_port, l7r_address, l7r_workers, l7r_drain_timeout, node_stop_timeout,
             node_evacuate_timeout, restart_delay_min, restart_delay_max, start_timeout,
             overdue_timeout, l7r_user, broker_user);
}

}  // namespace qvd::supervisor
