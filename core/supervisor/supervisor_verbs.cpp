// The verbs: reload, stop, status.
#include "base/file.hpp"
#include "base/log.hpp"
#include "base/text.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/keys.hpp"
#include "supervisor/supervisor.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>

namespace qvd::supervisor {

namespace {

// Loading every plugin of a slow disk.
constexpr Milliseconds check_patience{60'000};

std::string content_of(const UniqueFd& memory) {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t got =
            ::pread(memory.get(), buffer.data(), buffer.size(), static_cast<off_t>(text.size()));
        if (got <= 0 || text.size() > std::size_t{64} * 1024) return text;
        text.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

std::string state_of(const Member& member) {
    if (member.leaving) return "leaving";
    return member.ready ? "ready" : "starting";
}

std::string monotonic_microseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return std::to_string(now.tv_sec * 1'000'000 + now.tv_nsec / 1000);
}

}  // namespace

void Supervisor::handle_command() {
    auto request = accept_command(holdings_.command_socket.get());
    if (request.ok()) obey(request->text, std::move(request->client));
}

void Supervisor::obey(const std::string& request, UniqueFd client) {
    if (request == "status") return answer(client, true, status_text());
    if (request == "status json") return answer(client, true, status_json());
    const bool stops = request == "stop" || request == "stop vms";
    if (!stops && request != "reload") return answer(client, false, "unknown request");
    if (crew_.stopping() && !stops) return answer(client, false, "the node is stopping");
    holdings_.waiting.push_back(std::move(client));
    if (request == "reload") return start_reload();
    if (check_) refuse_reload("the node is stopping");
    if (request == "stop vms") return stop(view_.get(node_evacuate_timeout));
    stop(std::nullopt);
}

void Supervisor::start_reload() {
    if (check_ || crew_.stopping()) return;  // who asks meanwhile waits for the same answer
    log::info("node.reloading", {}, {});
    UniqueFd output{::memfd_create("qvd-node-check", MFD_CLOEXEC)};
    const auto pid = run_program(options_.check, output.get());
    if (!pid.ok()) return refuse_reload(pid.error().sentence());
    check_ = Check{*pid, std::move(output), clock_.now() + check_patience};
}

void Supervisor::check_ended(int wait_status) {
    const std::string output = content_of(check_->output);
    check_.reset();
    if (crew_.stopping()) return;
    if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return reexecute();
    refuse_reload("the check of program and configuration failed:\n" + output);
}

void Supervisor::refuse_reload(const std::string& why) {
    log::error("node.reload_refused", {}, why);
    std::erase_if(holdings_.waiting, [&](const UniqueFd& client) {
        answer(client, false, "not reloaded, everything runs on as before: " + why);
        return true;
    });
}

void Supervisor::reexecute() {
    holdings_.generation = crew_.generation();
    auto memory = leave_handover(write_handover(holdings_, crew_.members()));
    if (!memory.ok()) return refuse_reload(memory.error().sentence());
    systemd_.send("RELOADING=1\nMONOTONIC_USEC=" + monotonic_microseconds());
    set_inherited(holdings_, crew_.members(), true);
    std::vector<char*> arguments;
    for (std::string& word : options_.self) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ::execv(arguments[0], arguments.data());
    const Error error = errno_error("node.reexecute", "cannot re-execute " + options_.self.front());
    set_inherited(holdings_, crew_.members(), false);
    systemd_.send("READY=1");
    refuse_reload(error.sentence());
}

std::string_view Supervisor::phase() const {
    if (crew_.stopping()) return "stopping";
    if (crew_.replacing()) return "replacing";
    for (const Member& member : crew_.members())
        if (member.status.starts_with("unconfigured")) return "unconfigured";
    return crew_.complete() ? "running" : "starting";
}

std::string Supervisor::status_text() const {
    std::string out = "qvd-node " + options_.version + ", pid " + std::to_string(::getpid()) +
                      ": " + std::string(phase()) + "\n";
    out += "listening on " +
           (holdings_.listener ? holdings_.listen_address : std::string("nothing")) +
           (listen_problem_.empty() ? std::string() : "; " + listen_problem_) + "\n";
    for (const Member& member : crew_.members()) {
        out += std::string(net::to_string(member.role)) + " pid " + std::to_string(member.pid) +
               " " + state_of(member) + ", holds " + std::to_string(member.alive.load);
        if (!member.status.empty()) out += ": " + member.status;
        out += "\n";
    }
    for (const net::Role role :
         {net::Role::database, net::Role::broker, net::Role::hkd, net::Role::l7r})
        if (const unsigned count = crew_.restarts(role); count != 0)
            out += std::string(net::to_string(role)) + " was started anew " +
                   std::to_string(count) + " times\n";
    return out;
}

std::string Supervisor::status_json() const {
    std::string roles;
    for (const Member& member : crew_.members()) {
        if (!roles.empty()) roles += ",";
        roles += "{\"role\":" + text::json_string(net::to_string(member.role)) +
                 ",\"instance\":" + text::json_string(member.instance) +
                 ",\"pid\":" + std::to_string(member.pid) +
                 ",\"generation\":" + std::to_string(member.generation) +
                 ",\"state\":" + text::json_string(state_of(member)) +
                 ",\"load\":" + std::to_string(member.alive.load) +
                 ",\"status\":" + text::json_string(member.status) + "}";
    }
    return "{\"version\":" + text::json_string(options_.version) +
           ",\"pid\":" + std::to_string(::getpid()) + ",\"state\":" + text::json_string(phase()) +
           ",\"listening\":" +
           text::json_string(holdings_.listener ? holdings_.listen_address : "") +
           ",\"generation\":" + std::to_string(crew_.generation()) + ",\"restarts\":{" +
           "\"broker\":" + std::to_string(crew_.restarts(net::Role::broker)) +
           ",\"hkd\":" + std::to_string(crew_.restarts(net::Role::hkd)) +
           ",\"l7r\":" + std::to_string(crew_.restarts(net::Role::l7r)) + "},\"roles\":[" + roles +
           "]}\n";
}

}  // namespace qvd::supervisor
