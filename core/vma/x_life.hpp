// The life of the desktop session as one table, and the lines of nxagent that drive it.
#pragma once

#include "agent/protocol.hpp"

#include <sys/types.h>

#include <array>
#include <optional>
#include <string_view>

namespace qvd::vma {

// Finer than what a node sees (agent::XState).
enum class Phase {
    stopped,
    preparing,     // pre-connect hooks run
    provisioning,  // account, home and connect hooks
    launching,     // nxagent is starting; its port is not bound yet
    offered,       // waits for its first client: whatever goes wrong now ends it
    connected,
    suspending,
    suspended,
    waking,         // hooks of a resume run
    resuming,       // HUP is sent; the port is not bound yet
    offered_again,  // waits for a client after a resume: TERM and HUP are ignored
    stopping,
};

enum class Event {
    start_ordered,
    refused,  // hooks or provisioning failed, or nxagent could not be started
    prepared,
    launched,
    agent_listens,  // the NX port is bound: read from the kernel, not believed from the log
    client_attached,
    agent_suspends,
    agent_suspended,
    stop_ordered,
    agent_ends,
    agent_gone,  // the processes are gone
    time_is_up,
};

struct Transition {
    Phase from;
    Event event;
    Phase to;
};

// What is not listed cannot happen: such an event leaves the phase as it is.
inline constexpr auto x_life = std::to_array<Transition>({
    {Phase::stopped, Event::start_ordered, Phase::preparing},
    {Phase::preparing, Event::refused, Phase::stopped},
    {Phase::preparing, Event::prepared, Phase::provisioning},
    {Phase::preparing, Event::stop_ordered, Phase::stopping},
    {Phase::provisioning, Event::refused, Phase::stopped},
    {Phase::provisioning, Event::launched, Phase::launching},
    {Phase::provisioning, Event::stop_ordered, Phase::stopping},
    {Phase::launching, Event::agent_listens, Phase::offered},
    {Phase::launching, Event::client_attached, Phase::connected},
    {Phase::launching, Event::stop_ordered, Phase::stopping},
    {Phase::launching, Event::agent_ends, Phase::stopping},
    {Phase::launching, Event::agent_gone, Phase::stopped},
    {Phase::launching, Event::time_is_up, Phase::stopping},
    {Phase::offered, Event::client_attached, Phase::connected},
    {Phase::offered, Event::stop_ordered, Phase::stopping},
    {Phase::offered, Event::agent_ends, Phase::stopping},
    {Phase::offered, Event::agent_gone, Phase::stopped},
    {Phase::offered, Event::time_is_up, Phase::stopping},
    {Phase::connected, Event::agent_suspends, Phase::suspending},
    {Phase::connected, Event::agent_suspended, Phase::suspended},
    {Phase::connected, Event::stop_ordered, Phase::stopping},
    {Phase::connected, Event::agent_ends, Phase::stopping},
    {Phase::connected, Event::agent_gone, Phase::stopped},
    {Phase::suspending, Event::agent_suspended, Phase::suspended},
    {Phase::suspending, Event::stop_ordered, Phase::stopping},
    {Phase::suspending, Event::agent_ends, Phase::stopping},
    {Phase::suspending, Event::agent_gone, Phase::stopped},
    {Phase::suspending, Event::time_is_up, Phase::stopping},
    {Phase::suspended, Event::start_ordered, Phase::waking},
    {Phase::suspended, Event::stop_ordered, Phase::stopping},
    {Phase::suspended, Event::agent_ends, Phase::stopping},
    {Phase::suspended, Event::agent_gone, Phase::stopped},
    {Phase::waking, Event::refused, Phase::suspended},
    {Phase::waking, Event::prepared, Phase::resuming},
    {Phase::waking, Event::stop_ordered, Phase::stopping},
    {Phase::waking, Event::agent_ends, Phase::stopping},
    {Phase::waking, Event::agent_gone, Phase::stopped},
    {Phase::resuming, Event::agent_listens, Phase::offered_again},
    {Phase::resuming, Event::client_attached, Phase::connected},
    {Phase::resuming, Event::stop_ordered, Phase::stopping},
    {Phase::resuming, Event::agent_ends, Phase::stopping},
    {Phase::resuming, Event::agent_gone, Phase::stopped},
    // The applications are well: only this attempt to connect failed.
    {Phase::resuming, Event::time_is_up, Phase::suspended},
    {Phase::offered_again, Event::client_attached, Phase::connected},
    {Phase::offered_again, Event::agent_suspends, Phase::suspending},
    {Phase::offered_again, Event::agent_suspended, Phase::suspended},
    {Phase::offered_again, Event::stop_ordered, Phase::stopping},
    {Phase::offered_again, Event::agent_ends, Phase::stopping},
    {Phase::offered_again, Event::agent_gone, Phase::stopped},
    {Phase::stopping, Event::agent_gone, Phase::stopped},
    // A resume that was given up may come true late; then a client may still attach to it.
    {Phase::suspended, Event::agent_listens, Phase::offered_again},
});

// The phase after `event`; nothing if the table has no such line.
constexpr std::optional<Phase> next_phase(Phase from, Event event) {
    for (const Transition& line : x_life)
        if (line.from == from && line.event == event) return line.to;
    return std::nullopt;
}

agent::XState shown_as(Phase phase);
std::string_view to_string(Phase phase);
std::string_view to_string(Event event);
std::optional<Phase> parse_phase(std::string_view word);
// Whether nxagent runs in it.
bool has_agent(Phase phase);

// What one line of output says.
struct AgentLine {
    enum class Kind {
        pid,       // "Info: Agent running with pid '123'."
        waits,     // starting or resuming: the port will be bound in a moment
        accepted,  // a client has connected; negotiation begins
        attached,
        suspends,
        suspended,
        ends,
    };

    Kind kind{};
    pid_t pid = 0;
};

// Nothing for a line that means nothing here. Applications write to the same stream: whoever uses
// the pid must check whose it is.
std::optional<AgentLine> parse_agent_line(std::string_view line);

}  // namespace qvd::vma
