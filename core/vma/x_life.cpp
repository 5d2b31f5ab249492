#include "vma/x_life.hpp"

#include "base/text.hpp"

namespace qvd::vma {

namespace {

struct PhaseName {
    Phase phase;
    std::string_view word;
    agent::XState shown;
};

constexpr auto phase_names = std::to_array<PhaseName>({
    {Phase::stopped, "stopped", agent::XState::stopped},
    {Phase::preparing, "preparing", agent::XState::starting},
    {Phase::provisioning, "provisioning", agent::XState::provisioning},
    {Phase::launching, "launching", agent::XState::starting},
    {Phase::offered, "offered", agent::XState::listening},
    {Phase::connected, "connected", agent::XState::connected},
    {Phase::suspending, "suspending", agent::XState::suspending},
    {Phase::suspended, "suspended", agent::XState::suspended},
    {Phase::waking, "waking", agent::XState::starting},
    {Phase::resuming, "resuming", agent::XState::starting},
    {Phase::offered_again, "offered_again", agent::XState::listening},
    {Phase::stopping, "stopping", agent::XState::stopping},
});

const PhaseName& name_of(Phase phase) {
    for (const PhaseName& name : phase_names)
        if (name.phase == phase) return name;
    return phase_names.front();
}

struct Pattern {
    std::string_view start;
    AgentLine::Kind kind;
};

// As nxagent 3.5.99 writes them; a time follows some.
constexpr auto patterns = std::to_array<Pattern>({
    {"Session: Starting session", AgentLine::Kind::waits},
    {"Session: Resuming session", AgentLine::Kind::waits},
    {"Info: Accepted connection", AgentLine::Kind::accepted},
    {"Session: Session started", AgentLine::Kind::attached},
    {"Session: Session resumed", AgentLine::Kind::attached},
    {"Session: Suspending session", AgentLine::Kind::suspends},
    {"Session: Session suspended", AgentLine::Kind::suspended},
    {"Session: Terminating session", AgentLine::Kind::ends},
    {"Session: Aborting session", AgentLine::Kind::ends},
    {"Session: Session terminated", AgentLine::Kind::ends},
    {"Session: Session aborted", AgentLine::Kind::ends},
});

}  // namespace

agent::XState shown_as(Phase phase) {
    return name_of(phase).shown;
}

std::string_view to_string(Phase phase) {
    return name_of(phase).word;
}

std::optional<Phase> parse_phase(std::string_view word) {
    for (const PhaseName& name : phase_names)
        if (name.word == word) return name.phase;
    return std::nullopt;
}

std::string_view to_string(Event event) {
    switch (event) {
        case Event::start_ordered:
            return "start_ordered";
        case Event::refused:
            return "refused";
        case Event::prepared:
            return "prepared";
        case Event::launched:
            return "launched";
        case Event::agent_listens:
            return "agent_listens";
        case Event::client_attached:
            return "client_attached";
        case Event::agent_suspends:
            return "agent_suspends";
        case Event::agent_suspended:
            return "agent_suspended";
        case Event::stop_ordered:
            return "stop_ordered";
        case Event::agent_ends:
            return "agent_ends";
        case Event::agent_gone:
            return "agent_gone";
        case Event::time_is_up:
            return "time_is_up";
    }
    return "";
}

bool has_agent(Phase phase) {
    return phase != Phase::stopped && phase != Phase::preparing && phase != Phase::provisioning;
}

std::optional<AgentLine> parse_agent_line(std::string_view line) {
    static constexpr std::string_view pid_line = "Info: Agent running with pid '";
    if (line.starts_with(pid_line)) {
        line.remove_prefix(pid_line.size());
        const auto pid = text::to_integer(line.substr(0, line.find('\'')));
        if (!pid || *pid < 2 || *pid > 4'194'304) return std::nullopt;  // PID_MAX_LIMIT
        return AgentLine{AgentLine::Kind::pid, static_cast<pid_t>(*pid)};
    }
    for (const Pattern& pattern : patterns)
        if (line.starts_with(pattern.start)) return AgentLine{pattern.kind};
    return std::nullopt;
}

}  // namespace qvd::vma
