// What the supervisor and its child processes say to each other: one SOCK_SEQPACKET control socket
// per child, one message a packet, descriptors passed beside it. A child may be in an attacker's
// hands: decoding is total and bounded.
//
// When the supervisor is gone (try_receive() gives cancelled "role_link.closed"), an l7r worker
// closes its listening socket, keeps its sessions to their end and exits; the next supervisor comes
// by its lifeline. Every other role ends at once and in order: it is started anew.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace qvd::net {

// `database` watches the embedded PostgreSQL.
enum class Role : std::uint8_t { l7r = 1, broker = 2, hkd = 3, database = 4 };
std::string_view to_string(Role role);
std::optional<Role> parse_role(std::string_view name);

// ---- supervisor → role ------------------------------------------------------------------------

namespace order {

// With a descriptor: a connected SOCK_SEQPACKET socket (net/frames.hpp) to that process. A later
// one to the same role replaces the earlier: the process behind that died, or is being replaced.
struct Peer {
    Role role = Role::broker;
    std::string instance;
};

// With a descriptor: accept here. A later one replaces the earlier.
struct Listen {
    std::string address;  // for the log: "*:8443"
};

// Take no new work, finish what there is, then exit 0. 0 ms: no limit. An l7r worker closes its
// listening socket and keeps its sessions; the supervisor enforces the limit. hkd goes at once and
// leaves the node's row as it is: its successor follows.
struct Drain {
    std::uint32_t timeout_ms = 0;
};

// Exit in order, now: the node stops. VMs and what else outlives the role go on.
struct Stop {};

// To hkd: stop every VM of this node, clean up behind it, then exit 0.
struct Evacuate {};

// To an l7r worker, with a descriptor: a listening SOCK_SEQPACKET socket that only root can connect
// to. Whoever comes there is the next supervisor, and what was accepted is the control socket.
struct Lifeline {};

// To a process of before a reload, with a descriptor: log lines go to this file from now on.
struct Log {};

}  // namespace order

struct Order {
    std::variant<order::Peer, order::Listen, order::Drain, order::Stop, order::Evacuate,
                 order::Lifeline, order::Log>
        what;
    UniqueFd fd;  // of Peer, Listen, Lifeline and Log
};

// ---- role → supervisor ------------------------------------------------------------------------

namespace report {

// It does its work now: l7r accepts, the broker answers logins, hkd has adopted the VMs.
struct Ready {};

// At least every `valid_ms`, from the event loop; a role that lets it pass is killed. So is one
// whose oldest call is overdue for longer than the supervisor allows.
struct Alive {
    std::uint32_t valid_ms = 15'000;
    std::uint32_t load = 0;        // relays, logins or VMs that it holds
    std::uint32_t overdue_ms = 0;  // how long its oldest call is past its deadline; 0: none is
    std::string overdue_call;      // "authenticator ldap: authenticate"
};

// One sentence for `qvd-node status`, e.g. what an unconfigured node lacks; empty: all is well.
struct Status {
    std::string text;
};

// It is about to exit on its own.
struct Exiting {
    std::string reason;
};

// Of the broker: what the database says about one of the supervisor's own keys (l7r.address,
// l7r.port, l7r.workers, l7r.drain.timeout). No value: the database says nothing (any more).
struct Setting {
    std::string key;
    std::optional<std::string> value;
};

// Of hkd: kill everything in this control group unless renewed before `boottime_ms`
// (CLOCK_BOOTTIME); 0 withdraws it. The last resort of fencing.
struct Lease {
    std::string cgroup;  // absolute path below /sys/fs/cgroup
    std::uint64_t boottime_ms = 0;
};

// Its socket to that broker (order::Peer) is closed, whoever closed it; should the broker live, it
// gets another.
struct Unlinked {
    std::string broker;
};

}  // namespace report

using Report = std::variant<report::Ready, report::Alive, report::Status, report::Exiting,
                            report::Setting, report::Lease, report::Unlinked>;

// ---- the packets ------------------------------------------------------------------------------

constexpr std::size_t max_role_message_bytes = 4096;

// Texts are cut to 1 KiB. In the sentences that a report brings, whatever a terminal or systemd
// would obey is replaced.
std::string encode_order(const Order& order);
std::string encode_report(const Report& report);
// Total: each byte string is a message or invalid "role_link.malformed". A Peer, Listen,
// Lifeline or Log must come with a descriptor, the others without.
Result<Order> decode_order(std::string_view packet, UniqueFd fd);
Result<Report> decode_report(std::string_view packet);

// The supervisor's side; `socket` is non-blocking. unavailable "role_link.full" when the role has
// not read for long, cancelled "role_link.closed" when it is gone. Keeps order.fd.
Result<void> send_order(int socket, const Order& order);
// Nothing if there is nothing to read.
Result<std::optional<Report>> receive_report(int socket);
// first: the supervisor's end, second: the role's. Both close-on-exec and non-blocking.
Result<std::pair<UniqueFd, UniqueFd>> role_sockets();

// The role's side: belongs to its event loop, which waits until fd() is readable and then calls
// try_receive() until it gives nothing.
class RoleLink {
public:
    // `instance` names this process for good: "l7r-3-1a2b3c4d".
    RoleLink(UniqueFd socket, Role role, std::string instance)
        : socket_(std::move(socket)), role_(role), instance_(std::move(instance)) {}

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    [[nodiscard]] Role role() const noexcept { return role_; }
    [[nodiscard]] const std::string& instance() const noexcept { return instance_; }

    // cancelled "role_link.closed": the supervisor is gone (see above).
    Result<std::optional<Order>> try_receive();

    // The role's beats come every `beat` at the latest.
    static constexpr std::chrono::milliseconds beat{1000};

    // Never blocks; a report that the supervisor has no room for is dropped and an error.
    Result<void> send(const Report& report);

private:
    UniqueFd socket_;
    Role role_;
    std::string instance_;
};

}  // namespace qvd::net
