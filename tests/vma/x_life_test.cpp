#include "vma/x_life.hpp"

#include <doctest/doctest.h>

#include <set>
#include <vector>

using namespace qvd::vma;
using qvd::agent::XState;

namespace {

Phase after(std::initializer_list<Event> events, Phase phase = Phase::stopped) {
    for (const Event event : events) phase = next_phase(phase, event).value_or(phase);
    return phase;
}

const std::initializer_list<Event> to_offered{Event::start_ordered, Event::prepared,
                                              Event::launched, Event::agent_listens};

}  // namespace

TEST_CASE("a session is started, attached, suspended and resumed") {
    CHECK(after(to_offered) == Phase::offered);
    const Phase suspended = after(
        {Event::client_attached, Event::agent_suspends, Event::agent_suspended}, Phase::offered);
    CHECK(suspended == Phase::suspended);
    CHECK(
        after({Event::start_ordered, Event::prepared, Event::agent_listens, Event::client_attached},
              suspended) == Phase::connected);
}

TEST_CASE("only waiting for a bound port is shown as listening") {
    CHECK(shown_as(Phase::launching) == XState::starting);
    CHECK(shown_as(Phase::resuming) == XState::starting);
    CHECK(shown_as(Phase::offered) == XState::listening);
    CHECK(shown_as(Phase::offered_again) == XState::listening);
    CHECK(shown_as(Phase::preparing) == XState::starting);
    CHECK(shown_as(Phase::provisioning) == XState::provisioning);
}

TEST_CASE("a first client that never comes ends the session, a later one does not") {
    CHECK(after({Event::time_is_up}, Phase::offered) == Phase::stopping);
    CHECK_FALSE(next_phase(Phase::offered_again, Event::time_is_up).has_value());
    CHECK(after({Event::agent_suspends, Event::agent_suspended}, Phase::offered_again) ==
          Phase::suspended);
}

TEST_CASE("a resume that takes too long leaves the session suspended and alive") {
    CHECK(after({Event::time_is_up}, Phase::resuming) == Phase::suspended);
}

TEST_CASE("from every phase with an agent, its end leads to stopped") {
    for (const auto& line : x_life) {
        if (!has_agent(line.from) || line.from == Phase::stopping) continue;
        CHECK_MESSAGE(next_phase(line.from, Event::agent_gone) == Phase::stopped,
                      to_string(line.from));
        CHECK_MESSAGE(next_phase(line.from, Event::agent_ends) == Phase::stopping,
                      to_string(line.from));
    }
    CHECK(next_phase(Phase::stopping, Event::agent_gone) == Phase::stopped);
}

TEST_CASE("every phase but stopped and stopping can be stopped") {
    for (const auto& line : x_life)
        if (line.from != Phase::stopped && line.from != Phase::stopping)
            CHECK_MESSAGE(next_phase(line.from, Event::stop_ordered) == Phase::stopping,
                          to_string(line.from));
}

TEST_CASE("the table says one thing about one event in one phase") {
    std::set<std::pair<Phase, Event>> seen;
    for (const auto& line : x_life) CHECK(seen.insert({line.from, line.event}).second);
}

TEST_CASE("phases are written to the record and read back") {
    for (const auto& line : x_life) CHECK(parse_phase(to_string(line.to)) == line.to);
    CHECK_FALSE(parse_phase("asleep").has_value());
}

TEST_CASE("the lines of nxagent 3.5.99 are understood") {
    const std::vector<std::pair<const char*, AgentLine::Kind>> lines{
        {"Session: Starting session at 'Sun Nov 22 04:14:38 2026'.", AgentLine::Kind::waits},
        {"Session: Resuming session at 'Sun Nov 22 04:14:46 2026'.", AgentLine::Kind::waits},
        {"Info: Accepted connection from '127.0.0.1'.", AgentLine::Kind::accepted},
        {"Session: Session started at 'Sun Nov 22 04:14:39 2026'.", AgentLine::Kind::attached},
        {"Session: Session resumed at 'Sun Nov 22 04:14:54 2026'.", AgentLine::Kind::attached},
        {"Session: Suspending session at 'Sun Nov 22 04:14:43 2026'.", AgentLine::Kind::suspends},
        {"Session: Session suspended at 'Sun Nov 22 04:14:44 2026'.", AgentLine::Kind::suspended},
        {"Session: Terminating session at 'Sun Nov 22 04:14:56 2026'.", AgentLine::Kind::ends},
        {"Session: Aborting session at 'Sun Nov 22 04:14:56 2026'.", AgentLine::Kind::ends},
        {"Session: Session terminated at 'Sun Nov 22 04:14:57 2026'.", AgentLine::Kind::ends},
        {"Session: Session aborted at 'Sun Nov 22 04:14:57 2026'.", AgentLine::Kind::ends},
    };
    for (const auto& expected : lines) {
        const char* const line = expected.first;
        const AgentLine::Kind kind = expected.second;
        const auto read = parse_agent_line(line);
        REQUIRE_MESSAGE(read.has_value(), line);
        CHECK_MESSAGE(read->kind == kind, line);
    }
    for (const char* line : {"", "Session: Display failure detected at 'x'.",
                             "Info: Waiting for connection from any host on socket 'tcp:*:4237'.",
                             "xterm: cannot load font", " Session: Session started"})
        CHECK_FALSE(parse_agent_line(line).has_value());
}

TEST_CASE("the agent's pid is read, and one that no session can have is not") {
    CHECK(parse_agent_line("Info: Agent running with pid '8678'.")->pid == 8678);
    for (const char* line :
         {"Info: Agent running with pid '1'.", "Info: Agent running with pid '-1'.",
          "Info: Agent running with pid ''.", "Info: Agent running with pid '99999999999'."})
        CHECK_FALSE(parse_agent_line(line).has_value());
}
