// The processes of a node: which there must be, which there are, and how one is replaced by
// another.
//
// reconcile() is the whole story: after each event it compares what is with what should be, and
// orders what is missing. So there is no difference between a first start, a crash and a reload.
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "supervisor/backoff.hpp"
#include "supervisor/launcher.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace qvd::supervisor {

struct CrewSettings {
    unsigned workers = 1;
    bool database = false;         // the node runs an embedded one
    Milliseconds worker_drain{0};  // 0: no limit
    Milliseconds restart_min{100};
    Milliseconds restart_max{30'000};
    Milliseconds start_timeout{30'000};
    Milliseconds overdue_timeout{30'000};
    std::string lifelines;  // the folder of supervisor/lifeline.hpp; empty: none
};

// One process.
struct Member {
    net::Role role = net::Role::l7r;
    unsigned slot = 0;  // which of the l7r workers
    std::string instance;
    pid_t pid = -1;
    UniqueFd process;  // a pidfd, of who is not our child: an earlier supervisor's worker
    UniqueFd control;
    unsigned generation = 0;  // below the crew's: to be replaced
    bool ready = false;
    bool leaving = false;                         // ordered to drain or stop
    std::string linked_to;                        // the broker's instance
    std::optional<Clock::time_point> link_after;  // one that broke is not made again at once
    net::report::Alive alive;
    std::string status;
    Clock::time_point started;
    Clock::time_point silent_at;                 // killed if it does not report before
    std::optional<Clock::time_point> killed_at;  // killed if it still is there
    Clock::time_point counted_since{};           // its reports of about the last second
    unsigned reports = 0;
};

// Names a process in the log.
log::Fields fields_of(const Member& member);
// Between an order that should end a process at once and SIGKILL.
constexpr Milliseconds stop_grace{5'000};

// Belongs to one thread; clock and launcher must outlive it.
class Crew {
public:
    using Listener = std::function<void(const Member&, const net::Report&)>;

    Crew(const Clock& clock, Launcher& launcher, CrewSettings settings);

    // Told of every Setting and Lease; must not call back into the crew.
    void on_report(Listener listener) { listener_ = std::move(listener); }
    // Workers accept on `fd`, which stays the caller's.
    void listen_on(int fd, std::string address);
    void change(const CrewSettings& settings);
    // Takes over a process that an earlier image of this program has started.
    void adopt(Member member);
    // Takes in a worker whose supervisor was killed: it keeps its sessions, and gets a broker.
    void rescue(Member member);
    // Replaces everybody: workers and broker beside the old ones, hkd after it.
    void replace_all() { ++generation_; }
    void set_generation(unsigned generation) { generation_ = generation; }
    [[nodiscard]] unsigned generation() const { return generation_; }

    // No more starts. Workers drain for `patience`, hkd stops (or, with `evacuate` set, first its
    // VMs within that time), then the broker, at last the database.
    void stop(Milliseconds patience, std::optional<Milliseconds> evacuate);
    [[nodiscard]] bool stopping() const { return stopping_; }
    // Stopping, and nobody is left.
    [[nodiscard]] bool gone() const { return stopping_ && members_.empty(); }

    // Reads all reports, then does what is due: beats that were missed, limits that have passed,
    // starts, links, orders.
    void reconcile();
    // When reconcile() must be called at the latest.
    [[nodiscard]] Clock::time_point next_deadline() const;
    // Takes in what waits in the control sockets, but no more than one turn's worth of each; never
    // blocks. Who sends more than any role has to say is killed.
    void read_reports();
    // A child has ended; false if it is none of the crew.
    bool child_ended(pid_t pid, int wait_status);

    [[nodiscard]] const std::vector<Member>& members() const { return members_; }
    [[nodiscard]] std::vector<Member>& members() { return members_; }
    // Every role has its process, and each is ready or has said what it lacks.
    [[nodiscard]] bool complete() const;
    // Processes of an earlier generation are still there.
    [[nodiscard]] bool replacing() const;
    [[nodiscard]] unsigned restarts(net::Role role) const;

private:
    // A place that must be filled.
    struct Post {
        net::Role role = net::Role::l7r;
        unsigned slot = 0;
        Backoff backoff;
        Clock::time_point not_before{};
        unsigned restarts = 0;
    };

    void make_posts();
    void enforce_limits();
    void fill(Post& post);
    [[nodiscard]] bool may_start(const Post& post);
    void start(Post& post);
    void give_lifeline(const Member& worker) const;
    static void give_log(const Member& member);
    void notice_ends();
    void link_all();
    static void link(Member& member, const Member& broker);
    void retire(Member& member, bool successors_can);
    void retire_replaced();
    void evacuate_vms();
    void stop_next();
    void stop_serving();
    void stop_all(net::Role role, Milliseconds limit);
    void drain(Member& member, Milliseconds limit);
    void order_stop(Member& member, Milliseconds limit);
    void order_leave(Member& member, net::Order order, std::optional<Milliseconds> limit);
    void kill(Member& member, std::string_view event, const std::string& why);
    void read_reports_of(Member& member);
    [[nodiscard]] bool floods(Member& member) const;
    void handle(Member& member, const net::Report& report);

    [[nodiscard]] bool current(const Member& member) const;
    Member* find(net::Role role, unsigned slot);
    Member* find_instance(std::string_view instance);
    [[nodiscard]] bool any(net::Role role) const;
    [[nodiscard]] bool workers_ready();
    [[nodiscard]] bool is_linked(const Member& broker) const;

    const Clock& clock_;
    Launcher& launcher_;
    CrewSettings settings_;
    Listener listener_;
    int listen_fd_ = -1;
    std::string listen_address_;
    std::vector<Post> posts_;
    std::vector<Member> members_;
    unsigned generation_ = 1;
    bool database_seen_ = false;
    bool stopping_ = false;
    Milliseconds stop_patience_{0};
    std::optional<Milliseconds> evacuate_;
    Clock::time_point evacuate_until_;
    std::string evacuating_;  // the hkd that was told to
};

}  // namespace qvd::supervisor
