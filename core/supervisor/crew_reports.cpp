// What a Crew hears of its processes.
#include "base/log.hpp"
#include "supervisor/crew.hpp"
#include "supervisor/lifeline.hpp"

#include <sys/wait.h>

#include <algorithm>

namespace qvd::supervisor {

namespace {

using net::Role;

// A role may not promise its next beat later than this.
constexpr std::uint32_t longest_silence_ms = 120'000;
// Of one role: so many are taken in before somebody else has his turn, so many may come in a
// second.
constexpr int reports_a_turn = 64;
constexpr unsigned reports_a_second = 1024;
// Two that cannot talk to each other fill no log.
constexpr Milliseconds relink_pause{1000};

std::string death_of(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return "killed by signal " + std::to_string(WTERMSIG(wait_status));
    return "exit status " + std::to_string(WEXITSTATUS(wait_status));
}

void log_end(const Member& member, int wait_status) {
    if (member.process)
        log::info("role.left", fields_of(member), "a worker of the earlier qvd-node");
    else if (member.leaving)
        log::info("role.left", fields_of(member), death_of(wait_status));
    else
        log::error("role.died", fields_of(member), death_of(wait_status));
}

}  // namespace

log::Fields fields_of(const Member& member) {
    return {
        {"role", net::to_string(member.role)}, {"instance", member.instance}, {"pid", member.pid}};
}

void Crew::read_reports() {
    for (Member& member : members_)
        if (member.control) read_reports_of(member);
}

bool Crew::floods(Member& member) const {
    if (clock_.now() - member.counted_since >= Milliseconds{1000}) {
        member.counted_since = clock_.now();
        member.reports = 0;
    }
    return ++member.reports > reports_a_second;
}

// What is left over comes in the next turn: no role keeps the others waiting.
void Crew::read_reports_of(Member& member) {
    for (int turn = 0; turn < reports_a_turn; ++turn) {
        auto report = net::receive_report(member.control.get());
        if (report.ok() && !*report) return;
        if (report.ok() && !floods(member)) {
            handle(member, **report);
            continue;
        }
        if (report.ok()) {
            member.control.reset();
            kill(member, "role.floods", "it reports more than any role has to say");
            return;
        }
        // Closed: it is about to end. Anything else it should not have sent.
        const bool closed = report.error().kind() == ErrorKind::cancelled;
        member.control.reset();
        if (!closed) kill(member, "role.misbehaves", report.error().sentence());
        if (closed && !member.killed_at) member.killed_at = clock_.now() + stop_grace;
        return;
    }
}

void Crew::handle(Member& member, const net::Report& report) {
    if (std::holds_alternative<net::report::Ready>(report)) {
        member.ready = true;
        member.status.clear();
        if (member.role == Role::database) database_seen_ = true;
        log::info("role.ready", fields_of(member), {});
    } else if (const auto* alive = std::get_if<net::report::Alive>(&report)) {
        member.alive = *alive;
        member.silent_at =
            clock_.now() + Milliseconds{std::min(alive->valid_ms, longest_silence_ms)};
    } else if (const auto* status = std::get_if<net::report::Status>(&report)) {
        if (member.status != status->text && !status->text.empty())
            log::warn("role.status", fields_of(member), status->text);
        member.status = status->text;
    } else if (const auto* exiting = std::get_if<net::report::Exiting>(&report)) {
        log::info("role.exiting", fields_of(member), exiting->reason);
    } else if (const auto* unlinked = std::get_if<net::report::Unlinked>(&report)) {
        if (member.linked_to != unlinked->broker) return;
        log::warn("role.unlinked", fields_of(member), "its link to " + unlinked->broker + " broke");
        member.linked_to.clear();
        member.link_after = clock_.now() + relink_pause;
    } else if (listener_) {
        listener_(member, report);
    }
}

// Nobody tells us of these.
void Crew::notice_ends() {
    std::vector<pid_t> ended;
    for (const Member& member : members_)
        if (has_ended(member.process)) ended.push_back(member.pid);
    for (const pid_t pid : ended) child_ended(pid, 0);
}

bool Crew::child_ended(pid_t pid, int wait_status) {
    const auto found = std::ranges::find(members_, pid, &Member::pid);
    if (found == members_.end()) return false;
    if (found->control) read_reports_of(*found);  // its last words
    if (found->instance == evacuating_ && wait_status != 0) evacuating_.clear();
    const auto age = std::chrono::duration_cast<Milliseconds>(clock_.now() - found->started);
    if (found->role == Role::l7r) remove_lifeline(settings_.lifelines, found->instance);
    log_end(*found, wait_status);
    const bool again = evacuate_ && found->role == Role::hkd;
    if (current(*found) || again)
        for (Post& post : posts_) {
            if (post.role != found->role || post.slot != found->slot) continue;
            post.not_before = clock_.now() + post.backoff.after(age);
            ++post.restarts;
        }
    members_.erase(found);
    return true;
}

}  // namespace qvd::supervisor
