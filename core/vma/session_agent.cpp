// The half of Session that deals with nxagent: its lines, its processes, its ways (protocol B5).
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "vma/session.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstring>

namespace qvd::vma {

namespace {

constexpr Milliseconds port_interval{20};
constexpr Milliseconds poke_interval{250};
constexpr Milliseconds insist_interval{500};

// Connects and hangs up at once; what comes of it does not matter.
void knock(const sockaddr* address, socklen_t length) {
    const UniqueFd socket{
        ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (socket) [[maybe_unused]]
        const int result = ::connect(socket.get(), address, length);
}

}  // namespace

void Session::take_line(std::string_view line) {
    if (!record_.was_connected && (line.starts_with("Error:") || line.starts_with("Fatal") ||
                                   line.find("xinit:") != std::string_view::npos ||
                                   line.find("rror") != std::string_view::npos))
        last_complaint_ = line;
    const auto said = parse_agent_line(line);
    if (!said) return;
    switch (said->kind) {
        case AgentLine::Kind::pid:
            take_pid(said->pid);
            break;
        case AgentLine::Kind::waits:
            seen_waiting_ = true;
            loop_.start(watch_port());
            break;
        case AgentLine::Kind::accepted:
            // From here on the client's line decides how long it takes.
            if (state() == agent::XState::listening) {
                loop_.remove(limit_);
                limit_ = loop_.after(2 * settings_.limit_listening, [this] { time_is_up(); });
            }
            break;
        case AgentLine::Kind::attached:
            apply(Event::client_attached);
            break;
        case AgentLine::Kind::suspends:
            apply(Event::agent_suspends);
            break;
        case AgentLine::Kind::suspended:
            apply(Event::agent_suspended);
            break;
        case AgentLine::Kind::ends:
            seen_ending_ = true;
            apply(Event::agent_ends);
            break;
    }
}

// Whatever the user's programs write looks the same: root must not signal a process because a line
// says so. nxagent is the one that xinit started, and it names itself first.
void Session::take_pid(pid_t pid) {
    if (agent_.alive() || phase() != Phase::launching) return;
    const auto facts = facts_of(pid);
    if (!facts || facts->parent != record_.leader || facts->uid != record_.uid) {
        log::warn("vma.session.pid", {{"pid", pid}}, "this process is not the session's nxagent");
        return;
    }
    const Result<void> watched = agent_.watch(pid, facts->started, [this] { agent_gone(); });
    if (!watched.ok()) return;
    record_.agent = pid;
    record_.agent_started = facts->started;
    save();
}

void Session::agent_gone() {
    output_.catch_up();
    apply(Event::agent_ends);
    if (!leader_.alive()) settle_end();
}

void Session::leader_gone() {
    output_.catch_up();
    apply(Event::agent_ends);
    // Without xinit nothing holds the session together.
    agent_.send(seen_ending_ ? SIGTERM : SIGKILL);
    if (!agent_.alive()) settle_end();
}

// Once all processes are gone, the session is stopped.
void Session::settle_end() {
    if (leader_.alive() || agent_.alive()) return;
    if (!record_.was_connected && !reason_ && !last_complaint_.empty())
        reason_ = "the session ended before a client was connected: " + last_complaint_;
    record_.leader = record_.agent = 0;
    apply(Event::agent_gone);
}

// NOLINTNEXTLINE(misc-no-recursion): while it watches, a second one ends at once
Task<void> Session::watch_port() {
    if (watching_port_) co_return;
    watching_port_ = true;
    const auto matters = [this] {
        return phase() == Phase::launching || phase() == Phase::resuming ||
               phase() == Phase::suspended;
    };
    const auto rounds = settings_.limit_starting / port_interval;
    for (std::int64_t round = 0; round < rounds && matters(); ++round) {
        if (is_listening(settings_.nx_port(), record_.uid)) {
            apply(Event::agent_listens);
            break;
        }
        co_await loop_.sleep(port_interval);
    }
    watching_port_ = false;
}

// A HUP that comes right after "suspended" waits for the agent's loop to turn, up to a minute: a
// visitor at its X socket makes it turn. Where the signal was lost all the same, it is sent again.
Task<void> Session::nudge() {
    seen_waiting_ = false;
    agent_.send(SIGHUP);
    for (int round = 1; phase() == Phase::resuming && !seen_waiting_; ++round) {
        co_await loop_.sleep(poke_interval);
        // A HUP too many would suspend the session again as soon as its client has come.
        output_.catch_up();
        if (phase() != Phase::resuming || seen_waiting_) co_return;
        if (round % 8 == 0) agent_.send(SIGHUP);
        poke();
    }
}

// TERM ends it, except while it waits for a client after a resume. Once nxagent is gone, what is
// left is an xinit that may wait long for it.
Task<void> Session::insist() {
    int rounds_without_agent = 0;
    while (phase() == Phase::stopping && leader_.alive()) {
        if (agent_.alive() && !seen_ending_) {
            if (is_listening(settings_.nx_port(), record_.uid)) withdraw();
            agent_.send(SIGTERM);
            poke();
        } else if (!agent_.alive() && ++rounds_without_agent < 4) {
            leader_.send_group(SIGTERM);
        } else if (!agent_.alive()) {
            end_by_force();
        }
        co_await loop_.sleep(insist_interval);
    }
}

void Session::end_by_force() const {
    agent_.send(SIGKILL);
    // An nxagent that never told its pid has a process group of its own.
    const std::string leader = std::to_string(leader_.pid());
    const auto children = file::read("/proc/" + leader + "/task/" + leader + "/children", 4096);
    if (leader_.alive() && children.ok())
        for (const std::string& child : text::split_list(*children, ' '))
            if (const auto pid = text::to_integer(child); pid && *pid > 1)
                ::kill(static_cast<pid_t>(*pid), SIGKILL);
    leader_.send_group(SIGKILL);
}

void Session::withdraw() const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(settings_.nx_port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    knock(reinterpret_cast<const sockaddr*>(&address), sizeof address);  // NOLINT
}

void Session::poke() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = "/tmp/.X11-unix/X" + std::to_string(settings_.display);
    std::memcpy(&address.sun_path, path.data(), std::min(path.size(), sizeof address.sun_path - 1));
    knock(reinterpret_cast<const sockaddr*>(&address), sizeof address);  // NOLINT
}

void Session::adopt() {
    const auto found = load_record(settings_);
    if (!found.ok()) log::warn("vma.session.record", {}, found.error().sentence());
    if (!found.ok() || !*found) return;
    record_ = **found;
    const Phase was = record_.phase;
    if (has_agent(was) &&
        leader_.watch(record_.leader, record_.leader_started, [this] { leader_gone(); }).ok()) {
        log::info("vma.session.adopted", {{"user", record_.user_name}, {"phase", to_string(was)}},
                  "");
        go_on();
        return;
    }
    log::warn("vma.session.lost", {{"user", record_.user_name}, {"phase", to_string(was)}},
              "the session of the agent before this one is gone");
    hooks_.set_subject(record_.vm, record_.user_name, record_.user_home);
    record_ = SessionRecord{};
    save();
    if (has_agent(was)) hooks_.announce(hook::stopped, state());
}

void Session::go_on() {
    hooks_.set_subject(record_.vm, record_.user_name, record_.user_home);
    if (record_.agent != 0 &&
        !agent_.watch(record_.agent, record_.agent_started, [this] { agent_gone(); }).ok())
        loop_.after(Milliseconds{0}, [this] { agent_gone(); });
    // Hooks of a resume that nobody waits for any more.
    if (phase() == Phase::waking) record_.phase = Phase::suspended;
    const Result<void> followed = output_.follow(log_path(), record_.log_offset);
    if (!followed.ok())
        log::error("vma.session.log", {{"code", followed.error().code()}},
                   followed.error().sentence());
    set_limit();
    save();
    if (phase() == Phase::launching || phase() == Phase::resuming) loop_.start(watch_port());
    if (phase() == Phase::resuming) loop_.start(nudge());
    if (phase() == Phase::stopping) loop_.start(insist());
}

}  // namespace qvd::vma
