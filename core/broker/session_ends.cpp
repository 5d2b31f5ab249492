#include "broker/session_ends.hpp"

#include "base/log.hpp"
#include "broker/keys.hpp"
#include "broker/spawn.hpp"

#include <algorithm>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds retry_first{1000};
constexpr Milliseconds retry_last{10'000};
// How often an agent whose session is still coming up is asked whether it has.
constexpr Milliseconds look_again{500};
// As long as an agent may take to answer x_start: hooks run in the VM.
constexpr Milliseconds hook_time{60'000};

}  // namespace

void SessionEnds::begin(Context& context, Session session, std::string reason,
                        std::optional<agent::Peer> asked) {
    if (closed_) return;
    auto end = std::make_shared<End>();
    end->session = std::move(session);
    end->reason = std::move(reason);
    end->asked = std::move(asked);
    ends_.push_back(end);
    spawn_contained(executor_, run(*this, context, std::move(end)));
}

bool SessionEnds::hurry(SessionId session) {
    const auto found =
        std::ranges::find_if(ends_, [&](const auto& end) { return end->session.id == session; });
    if (found == ends_.end()) return false;
    (*found)->hurried = true;
    (*found)->changed.notify();
    return true;
}

bool SessionEnds::has(SessionId session) const {
    return std::ranges::any_of(ends_, [&](const auto& end) { return end->session.id == session; });
}

void SessionEnds::try_again() {
    for (const auto& end : ends_) end->changed.notify();
}

asio::awaitable<void> SessionEnds::run(SessionEnds& self, Context& context,
                                       std::shared_ptr<End> end) {
    if (end->asked) co_await withdraw(context, end);
    co_await end_row(context, end);
    std::erase(self.ends_, end);
}

// x_suspend, never x_stop: of a session that was resumed it takes back the offer and nothing else;
// of a new one, which no client has seen, it ends what was begun.
asio::awaitable<void> SessionEnds::withdraw(Context& context, std::shared_ptr<End> end) {
    const Milliseconds limit = context.view.get(agent_timeout);
    const Deadline deadline =
        Deadline::in(context.clock, context.view.get(x_start_timeout) + hook_time);
    while (!end->hurried && !deadline.passed()) {
        const auto state = co_await context.agents.x_state(*end->asked, limit);
        if (!state.ok() || end->hurried) co_return;
        if (*state == agent::XState::listening || *state == agent::XState::connected) {
            const auto done = co_await context.agents.x_suspend(*end->asked, limit);
            log::info("session.withdrawn", {{"session", end->session.id}, {"vm", end->session.vm}},
                      done.ok() ? "its client did not come" : done.error().sentence());
            co_return;
        }
        if (*state != agent::XState::starting && *state != agent::XState::provisioning) co_return;
        co_await end->changed.wait(look_again);
    }
}

asio::awaitable<void> SessionEnds::end_row(Context& context, std::shared_ptr<End> end) {
    for (Milliseconds pause = retry_first;; pause = std::min(pause * 2, retry_last)) {
        const auto ended = co_await context.store.end_session(end->session.id, end->reason);
        if (ended.ok() || ended.error().kind() == ErrorKind::not_found) co_return;
        if (pause == retry_first)
            log::error("session.not_ended", {{"session", end->session.id}, {"vm", end->session.vm}},
                       ended.error().sentence() + "; it is tried again until it is");
        co_await end->changed.wait(pause);
    }
}

SessionHold::SessionHold(Context& context, Session session, std::shared_ptr<Conversation> client)
    : context_(context), session_(std::move(session)), client_(std::move(client)) {
    context_.sessions.add(session_, client_);
}

SessionHold::~SessionHold() {
    if (!held_) return;
    let_go();
    context_.ends.begin(context_, session_, "it was broken off", std::move(asked_));
}

void SessionHold::let_go() {
    held_ = false;
    context_.sessions.remove(session_.vm, *client_);
}

asio::awaitable<void> SessionHold::end(std::string reason) {
    let_go();
    // Who takes over asks the agent himself, and must not be disturbed.
    if (client_->interruption() && client_->interruption()->code() == "session.taken_over") taken();
    if (!asked_) {
        const auto ended = co_await context_.store.end_session(session_.id, reason);
        if (ended.ok()) co_return;
    }
    context_.ends.begin(context_, session_, std::move(reason), std::move(asked_));
}

}  // namespace qvd::broker
