#include "broker/screen.hpp"

#include "base/log.hpp"
#include "broker/keys.hpp"

#include <optional>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

// How long an agent of ours holds an x_state back for news (its feature "x_wait"); others answer at
// once, and are asked again after `ask_again`.
constexpr Milliseconds long_poll{2000};
constexpr Milliseconds ask_again_first{50};
constexpr Milliseconds ask_again_last{1000};
constexpr Milliseconds busy_retry{1000};

Error not_available(const std::string& why) {
    return {ErrorKind::unavailable, "session.failed",
            "The requested virtual machine is not available: " + why + ", retry later"};
}

// Which state of the session kept an agent from an x_start; it says so in its sentence.
std::optional<agent::XState> state_in(const std::string& sentence) {
    constexpr std::string_view before = "in state ";
    const std::size_t at = sentence.find(before);
    if (at == std::string::npos) return std::nullopt;
    const std::size_t begin = at + before.size();
    const std::size_t end = sentence.find_first_of(", ", begin);
    const auto state = agent::parse_x_state(
        std::string_view(sentence).substr(begin, end == std::string::npos ? end : end - begin));
    return state.ok() ? std::optional(*state) : std::nullopt;
}

Async<agent::XState> ask_state(Context& context, agent::Peer peer, agent::XState unless,
                               bool waits) {
    if (!waits) {
        co_return co_await context.agents.x_state(std::move(peer), context.view.get(agent_timeout));
    }
    const Milliseconds limit = context.view.get(agent_timeout) + long_poll;
    agent::Parameters parameters{{"unless", std::string(agent::to_string(unless))},
                                 {"wait_ms", std::to_string(long_poll.count())}};
    QVD_CO_TRY(const agent::Value value,
               co_await context.agents.call(std::move(peer), std::string(agent::method::x_state),
                                            std::move(parameters), limit));
    co_return agent::parse_x_state(value.text);
}

// Whether this agent can hold an x_state back for news; upstream's cannot.
asio::awaitable<bool> can_wait(Context& context, agent::Peer peer) {
    const auto hello =
        co_await context.agents.hello(std::move(peer), context.view.get(agent_timeout));
    co_return hello.ok() && hello->has(agent::feature::x_wait);
}

// Until the session that is in the way may be in another state.
Async<void> await_way(Context& context, std::shared_ptr<Conversation> client, agent::Peer peer,
                      std::optional<agent::XState> known, bool waits) {
    if (!waits || !known) co_return co_await client->pause(busy_retry / 4);
    const auto asked_at = context.clock.now();
    const auto state = co_await ask_state(context, std::move(peer), *known, true);
    if (client->interruption()) co_return *client->interruption();
    const bool answered_at_once = context.clock.now() - asked_at < long_poll / 2;
    if ((state.ok() && *state != *known) || !answered_at_once) co_return Result<void>{};
    co_return co_await client->pause(busy_retry / 4);
}

Async<void> ask_to_start(Context& context, std::shared_ptr<Conversation> client, agent::Peer peer,
                         agent::Parameters parameters) {
    // Hooks run before the agent answers; they have their own limit inside the VM.
    const Milliseconds limit = context.view.get(x_start_timeout) + std::chrono::seconds(60);
    const Milliseconds patience = busy_retry * context.view.get(x_start_retries);
    Deadline deadline = Deadline::in(context.clock, patience);
    std::optional<bool> waits;
    for (;;) {
        const auto started = co_await context.agents.x_start(peer, parameters, limit);
        if (started.ok()) co_return Result<void>{};
        const Error& why = started.error();
        const bool busy = why.code() == "agent.session_busy";
        const auto state = busy ? state_in(why.sentence()) : std::nullopt;
        // What an earlier client's x_start has begun takes as long as it takes.
        if (state == agent::XState::provisioning) deadline = Deadline::in(context.clock, patience);
        if ((!busy && why.code() != "agent.unreachable") || deadline.passed())
            co_return not_available(why.sentence());
        if (!busy) {
            QVD_CO_CHECK(co_await client->pause(busy_retry));
            continue;
        }
        if (!waits) waits = co_await can_wait(context, peer);
        QVD_CO_CHECK(co_await await_way(context, client, peer, state, *waits));
    }
}

Async<void> failed(Context& context, agent::Peer peer, std::string sentence) {
    const auto reason =
        co_await context.agents.x_reason(std::move(peer), context.view.get(agent_timeout));
    if (reason.ok() && *reason && !(*reason)->empty()) sentence += " (" + **reason + ")";
    co_return not_available(sentence);
}

Async<void> await_listening(Context& context, std::shared_ptr<Conversation> client,
                            agent::Peer peer) {
    const bool waits = co_await can_wait(context, peer);
    Deadline deadline = Deadline::in(context.clock, context.view.get(x_start_timeout));
    Milliseconds delay = ask_again_first;
    agent::XState last = agent::XState::starting;
    for (;;) {
        if (client->interruption()) co_return *client->interruption();
        const auto asked_at = context.clock.now();
        const auto state = co_await ask_state(context, peer, last, waits);
        if (state.ok()) {
            switch (*state) {
                case agent::XState::listening:
                    co_return Result<void>{};
                case agent::XState::starting:
                    break;
                // Making a user's home takes as long as it takes (behaviour 3.3.12).
                case agent::XState::provisioning:
                    deadline = Deadline::in(context.clock, context.view.get(x_start_timeout));
                    break;
                default:
                    co_return co_await failed(
                        context, peer, "its session is " + std::string(agent::to_string(*state)));
            }
            last = *state;
        }
        if (deadline.passed())
            co_return Error{ErrorKind::timeout, "session.timeout",
                            "The session of the requested virtual machine did not come up in time,"
                            " retry later"};
        // An agent that waited for news need not be asked any slower.
        const bool answered_at_once = context.clock.now() - asked_at < long_poll / 2;
        if (answered_at_once) {
            QVD_CO_CHECK(co_await client->pause(std::min(delay, deadline.remaining())));
            delay = std::min(delay * 2, ask_again_last);
        }
    }
}

}  // namespace

Async<Screen> find_screen(Context& context, VmId vm) {
    QVD_CO_TRY(store::Store::AgentAccess access, co_await context.store.agent_access(vm));
    Screen screen;
    screen.agent = {access.address, static_cast<std::uint16_t>(access.agent_port), access.token};
    screen.address = access.address;
    screen.port = access.nx_port;
    co_return screen;
}

Async<void> start_session(Context& context, std::shared_ptr<Conversation> client, VmId vm,
                          agent::Peer agent, Properties parameters) {
    client->progress("Starting X session at VM " + vm.text());
    agent::Parameters session(parameters.begin(), parameters.end());
    QVD_CO_CHECK(co_await ask_to_start(context, client, agent, std::move(session)));
    if (client->interruption()) co_return *client->interruption();
    client->progress("Waiting for X session to come up on VM " + vm.text());
    co_return co_await await_listening(context, client, std::move(agent));
}

}  // namespace qvd::broker
