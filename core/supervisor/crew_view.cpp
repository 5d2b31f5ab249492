// What a Crew is asked about itself.
#include "supervisor/crew.hpp"

#include <algorithm>

namespace qvd::supervisor {

using net::Role;

bool Crew::current(const Member& member) const {
    if (member.generation != generation_ || member.leaving) return false;
    return member.role != Role::l7r || member.slot < std::max(1U, settings_.workers);
}

Member* Crew::find(Role role, unsigned slot) {
    for (Member& member : members_)
        if (member.role == role && member.slot == slot && current(member)) return &member;
    return nullptr;
}

Member* Crew::find_instance(std::string_view instance) {
    const auto found = std::ranges::find(members_, instance, &Member::instance);
    return found == members_.end() ? nullptr : &*found;
}

bool Crew::any(Role role) const {
    return std::ranges::count(members_, role, &Member::role) != 0;
}

// To somebody who serves.
bool Crew::is_linked(const Member& broker) const {
    return std::ranges::any_of(members_, [&](const Member& member) {
        return member.linked_to == broker.instance && !member.leaving;
    });
}

bool Crew::workers_ready() {
    return std::ranges::all_of(posts_, [this](const Post& post) {
        if (post.role != Role::l7r) return true;
        const Member* const worker = find(post.role, post.slot);
        return worker != nullptr && worker->ready;
    });
}

bool Crew::complete() const {
    return std::ranges::all_of(posts_, [this](const Post& post) {
        return std::ranges::any_of(members_, [&](const Member& member) {
            if (member.role != post.role || member.slot != post.slot || !current(member))
                return false;
            // Without its broker's settings a worker cannot be ready, and has nothing to say.
            return member.ready || !member.status.empty() || member.role == Role::l7r;
        });
    });
}

bool Crew::replacing() const {
    return std::ranges::any_of(
        members_, [this](const Member& member) { return member.generation != generation_; });
}

unsigned Crew::restarts(Role role) const {
    unsigned sum = 0;
    for (const Post& post : posts_)
        if (post.role == role) sum += post.restarts;
    return sum;
}

Clock::time_point Crew::next_deadline() const {
    auto next = Clock::time_point::max();
    for (const Member& member : members_) {
        next = std::min(next, member.silent_at);
        if (member.killed_at) next = std::min(next, *member.killed_at);
    }
    for (const Post& post : posts_)
        if (post.not_before > clock_.now()) next = std::min(next, post.not_before);
    return next;
}

}  // namespace qvd::supervisor
