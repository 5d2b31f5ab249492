#include "supervisor/crew.hpp"

#include "base/log.hpp"
#include "base/log_file.hpp"
#include "base/secret.hpp"
#include "net/frames.hpp"
#include "supervisor/lifeline.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace qvd::supervisor {

namespace {

using net::Role;

// A database writes its last checkpoint before it goes.
constexpr Milliseconds database_stop{60'000};
// A draining broker finishes the logins in flight; none takes longer.
constexpr Milliseconds broker_drain{600'000};

UniqueFd duplicate(int fd) {
    return UniqueFd{::fcntl(fd, F_DUPFD_CLOEXEC, 0)};
}

}  // namespace

Crew::Crew(const Clock& clock, Launcher& launcher, CrewSettings settings)
    : clock_(clock), launcher_(launcher), settings_(std::move(settings)) {
    make_posts();
}

void Crew::make_posts() {
    std::vector<Post> posts;
    const auto add = [&](Role role, unsigned slot) {
        for (const Post& post : posts_)
            if (post.role == role && post.slot == slot) {
                posts.push_back(post);
                return;
            }
        posts.push_back({role, slot, Backoff{settings_.restart_min, settings_.restart_max}});
    };
    if (settings_.database) add(Role::database, 0);
    add(Role::broker, 0);
    add(Role::hkd, 0);
    for (unsigned slot = 0; slot < std::max(1U, settings_.workers); ++slot) add(Role::l7r, slot);
    posts_ = std::move(posts);
}

void Crew::change(const CrewSettings& settings) {
    settings_ = settings;
    make_posts();
    reconcile();
}

void Crew::listen_on(int fd, std::string address) {
    listen_fd_ = fd;
    listen_address_ = std::move(address);
    for (Member& member : members_)
        if (member.role == Role::l7r && !member.leaving)
            (void)net::send_order(member.control.get(),
                                  {net::order::Listen{listen_address_}, duplicate(listen_fd_)});
}

void Crew::adopt(Member member) {
    member.started = clock_.now();
    member.silent_at = clock_.now() + settings_.start_timeout;
    if (member.role == Role::database && member.ready) database_seen_ = true;
    give_log(member);
    members_.push_back(std::move(member));
}

void Crew::rescue(Member member) {
    member.generation = generation_;
    member.ready = true;
    adopt(std::move(member));
    // It takes no new clients since it is alone; now it hears how long it may stay.
    drain(members_.back(), settings_.worker_drain);
}

void Crew::stop(Milliseconds patience, std::optional<Milliseconds> evacuate) {
    stopping_ = true;
    stop_patience_ = patience;
    evacuate_ = evacuate;
    if (evacuate) evacuate_until_ = clock_.now() + *evacuate;
    // Who is leaving already has its order; now there is a limit to it, too.
    for (Member& member : members_)
        if (member.leaving && member.role == Role::l7r)
            member.killed_at = std::min(member.killed_at.value_or(Clock::time_point::max()),
                                        clock_.now() + patience + stop_grace);
    reconcile();
}

void Crew::reconcile() {
    // First: if this process was held up itself, the beats it missed wait in the sockets.
    read_reports();
    notice_ends();
    enforce_limits();
    if (stopping_) return stop_next();
    for (Post& post : posts_) fill(post);
    link_all();
    retire_replaced();
    // Once more, for those whose broker has just been told to leave.
    link_all();
}

void Crew::enforce_limits() {
    const auto now = clock_.now();
    for (Member& member : members_) {
        if (member.killed_at && now >= *member.killed_at)
            kill(member, "role.slow_to_leave", "it was told to leave and did not in time");
        else if (now >= member.silent_at)
            kill(member, "role.silent", "its event loop has given no sign of life");
        else if (member.alive.overdue_ms > settings_.overdue_timeout.count())
            kill(member, "role.stuck",
                 "its call \"" + member.alive.overdue_call + "\" is stuck past its deadline");
    }
}

void Crew::kill(Member& member, std::string_view event, const std::string& why) {
    log::error(event, fields_of(member), "it is killed: " + why);
    if (member.process)
        ::syscall(SYS_pidfd_send_signal, member.process.get(), SIGKILL, nullptr, 0);
    else
        launcher_.signal(member.pid, SIGKILL);
    // A killed process that does not go is in the kernel's hands; look again later.
    member.killed_at = clock_.now() + stop_grace;
    member.silent_at = Clock::time_point::max();
    member.alive.overdue_ms = 0;
}

void Crew::fill(Post& post) {
    if (find(post.role, post.slot) != nullptr || clock_.now() < post.not_before) return;
    if (may_start(post)) start(post);
}

bool Crew::may_start(const Post& post) {
    const bool needs_database = post.role == Role::broker || post.role == Role::hkd;
    if (needs_database && settings_.database && !database_seen_) return false;
    if (post.role != Role::hkd && post.role != Role::database) return true;
    // Two of these would get into each other's way: the old one goes first.
    bool free = true;
    for (Member& member : members_) {
        if (member.role != post.role) continue;
        free = false;
        if (member.leaving) continue;
        drain(member, stop_grace);
    }
    return free;
}

void Crew::start(Post& post) {
    Member member;
    member.role = post.role;
    member.slot = post.slot;
    member.instance = std::string(net::to_string(post.role)) + "-" + std::to_string(post.slot) +
                      "-" + std::string(random_token(4).reveal());
    auto launched = launcher_.launch(post.role, member.instance);
    if (!launched.ok()) {
        post.not_before = clock_.now() + post.backoff.after(Milliseconds{0});
        log::error("role.start_failed", {{"role", net::to_string(post.role)}},
                   launched.error().sentence());
        return;
    }
    member.pid = launched->pid;
    member.control = std::move(launched->control);
    member.generation = generation_;
    member.started = clock_.now();
    member.silent_at = clock_.now() + settings_.start_timeout;
    log::info("role.started", fields_of(member), {});
    if (post.role == Role::l7r) give_lifeline(member);
    if (post.role == Role::l7r && listen_fd_ >= 0)
        (void)net::send_order(member.control.get(),
                              {net::order::Listen{listen_address_}, duplicate(listen_fd_)});
    members_.push_back(std::move(member));
}

void Crew::give_lifeline(const Member& worker) const {
    if (settings_.lifelines.empty()) return;
    auto end = open_lifeline(settings_.lifelines, worker.instance);
    if (end.ok())
        (void)net::send_order(worker.control.get(), {net::order::Lifeline{}, std::move(*end)});
    else
        log::warn("role.no_lifeline", fields_of(worker),
                  "should this supervisor be killed, the next one will not find its sessions: " +
                      end.error().sentence());
}

// It was started with the log of its time, which may have been moved away since; a worker, which
// may stay for days, cannot open the new one itself.
void Crew::give_log(const Member& member) {
    auto file = log::share_file();
    if (!file.ok()) {
        log::warn("role.old_log", fields_of(member), file.error().sentence());
        return;
    }
    if (*file) (void)net::send_order(member.control.get(), {net::order::Log{}, std::move(*file)});
}

// Each worker and hkd talk to one broker. A process on its way out stays with the broker it has, as
// long as that serves. One that is leaving finishes what it has begun; what begins now is
// another's, so even a worker on its way out is linked to that one, too.
void Crew::link_all() {
    Member* const broker = find(Role::broker, 0);
    if (broker == nullptr) return;
    for (Member& member : members_) {
        if (member.role != Role::l7r && member.role != Role::hkd) continue;
        if (member.linked_to == broker->instance) continue;
        const Member* const linked = find_instance(member.linked_to);
        if (!current(member) && linked != nullptr && !linked->leaving) continue;
        if (member.link_after && clock_.now() < *member.link_after) continue;
        link(member, *broker);
    }
}

void Crew::link(Member& member, const Member& broker) {
    // What they tell each other is longer than what a socket takes of them.
    auto ends = net::frame_sockets();
    if (!ends.ok()) {
        log::error("role.link_failed", fields_of(member), ends.error().sentence());
        return;
    }
    const auto to_broker =
        net::send_order(broker.control.get(),
                        {net::order::Peer{member.role, member.instance}, std::move(ends->first)});
    if (!to_broker.ok()) return;  // it is dying: the next broker gets its link
    (void)net::send_order(member.control.get(), {net::order::Peer{Role::broker, broker.instance},
                                                 std::move(ends->second)});
    member.linked_to = broker.instance;
}

// Who serves goes on until his successors can; who does not may go at once.
void Crew::retire(Member& member, bool successors_can) {
    if (member.role == Role::l7r && (successors_can || !member.ready))
        drain(member, settings_.worker_drain);
    if (member.role == Role::broker && (successors_can || !member.ready || !is_linked(member)))
        drain(member, broker_drain);
    // The node has moved to a database server: its own is no longer wanted.
    if (member.role == Role::database && !settings_.database) order_stop(member, database_stop);
}

void Crew::retire_replaced() {
    const bool workers_can = workers_ready();
    Member* const broker = find(Role::broker, 0);
    const bool broker_can = workers_can && broker != nullptr && broker->ready;
    for (Member& member : members_) {
        if (current(member) || member.leaving) continue;
        retire(member, member.role == Role::broker ? broker_can : workers_can);
    }
}

// Only hkd stops VMs: if it died, or dies of it, another one is started for that.
void Crew::evacuate_vms() {
    if (!evacuate_) return;
    if (clock_.now() >= evacuate_until_) {
        log::error("node.evacuate_failed", {},
                   "VMs may still run: time is up (node.evacuate.timeout)");
        evacuate_.reset();
        return;
    }
    for (Post& post : posts_)
        if (post.role == Role::broker || post.role == Role::hkd) fill(post);
    link_all();
    Member* const hkd = find(Role::hkd, 0);
    if (hkd == nullptr) return;
    const auto left = std::chrono::duration_cast<Milliseconds>(evacuate_until_ - clock_.now());
    order_leave(*hkd, {net::order::Evacuate{}, {}}, left);
    evacuating_ = hkd->instance;
}

// Each stage begins when nobody of the one before is left.
void Crew::stop_next() {
    stop_serving();
    const bool evacuation_ahead = evacuate_ && evacuating_.empty();
    if (any(Role::l7r) || any(Role::hkd) || evacuation_ahead) return;
    stop_all(Role::broker, stop_grace);
    if (!any(Role::broker)) stop_all(Role::database, database_stop);
}

void Crew::stop_serving() {
    if (evacuating_.empty()) evacuate_vms();
    for (Member& member : members_)
        if (member.role == Role::l7r && !member.leaving)
            drain(member, std::max(stop_patience_, Milliseconds{1}));
    if (!evacuate_) stop_all(Role::hkd, stop_grace);
}

void Crew::stop_all(Role role, Milliseconds limit) {
    for (Member& member : members_)
        if (member.role == role && !member.leaving) order_stop(member, limit);
}

void Crew::drain(Member& member, Milliseconds limit) {
    const auto told = static_cast<std::uint32_t>(limit.count());
    order_leave(member, {net::order::Drain{told}, {}},
                limit.count() == 0 ? std::nullopt : std::optional(limit + stop_grace));
}

void Crew::order_stop(Member& member, Milliseconds limit) {
    order_leave(member, {net::order::Stop{}, {}}, limit);
}

void Crew::order_leave(Member& member, net::Order order, std::optional<Milliseconds> limit) {
    member.leaving = true;
    if (limit) member.killed_at = clock_.now() + *limit;
    log::info("role.leaving", fields_of(member), {});
    if (!net::send_order(member.control.get(), order).ok()) member.killed_at = clock_.now();
}

}  // namespace qvd::supervisor
