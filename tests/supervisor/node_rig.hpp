// A supervisor as a process, with processes as roles, and what is asked of it from outside.
#pragma once

#include "base/file.hpp"
#include "base/text.hpp"
#include "net/role_link.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/launcher.hpp"
#include "tests/supervisor/scratch.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <thread>

namespace qvd::supervisor::test {

using Seconds = std::chrono::duration<double>;

// Looks again and again until it holds; a time-out is a failure.
inline bool eventually(const std::function<bool()>& holds, Seconds patience = Seconds{15}) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < until) {
        if (holds()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return holds();
}

inline std::uint16_t free_port() {
    const UniqueFd fd{::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    socklen_t length = sizeof address;
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
    return ntohs(address.sin6_port);
}

inline UniqueFd connect_to(std::uint16_t port) {
    UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
    return fd;
}

inline std::string say(const UniqueFd& client, std::string_view what) {
    if (::send(client.get(), what.data(), what.size(), MSG_NOSIGNAL) < 0) return {};
    pollfd one{client.get(), POLLIN, 0};
    std::array<char, 64> got{};
    if (::poll(&one, 1, 10'000) != 1) return {};
    const ssize_t size = ::recv(client.get(), got.data(), got.size(), 0);
    return {got.data(), size > 0 ? static_cast<std::size_t>(size) : 0U};
}

struct RoleLine {
    pid_t pid = -1;
    std::string state;
};

// A running fake node; killed with all it has started when the test ends.
struct Node {
    Scratch scratch;
    std::uint16_t port = free_port();
    pid_t pid = -1;

    explicit Node(const std::string& more = {}, bool start_now = true) {
        write("node.conf", "path.run = " + scratch.folder() +
                               "\nl7r.address = 127.0.0.1\nl7r.port = " + std::to_string(port) +
                               "\nl7r.workers = 1\nnode.stop.timeout = 2\n" + more);
        ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        if (start_now) start();
    }
    ~Node() {
        if (pid > 0) ::kill(pid, SIGKILL);
        // Orphans of the node are this process's children now.
        (void)eventually(
            [] {
                while (::waitpid(-1, nullptr, WNOHANG) > 0) {
                }
                return ::waitpid(-1, nullptr, WNOHANG) < 0;
            },
            Seconds{10});
    }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    void start() {
        const UniqueFd output{::open(scratch.path("output").c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)};
        pid = run_program({FAKE_NODE, scratch.folder()}, output.get()).value();
    }
    void write(const std::string& name, const std::string& content) const {
        std::ofstream(scratch.path(name)) << content;
    }
    void remove(const std::string& name) const { std::filesystem::remove(scratch.path(name)); }
    [[nodiscard]] Result<std::string> ask(const std::string& request) const {
        return ask_supervisor(scratch.path("supervisor.sock"), request, Milliseconds{20'000});
    }
    [[nodiscard]] std::string status() const { return ask("status").value_or({}); }
    [[nodiscard]] bool running() const { return status().find(": running") != std::string::npos; }
    [[nodiscard]] std::string log() const { return file::read(scratch.path("log")).value_or({}); }
    [[nodiscard]] std::string events() const {
        return file::read(scratch.path("events")).value_or({});
    }
    // The processes of a role, oldest first.
    [[nodiscard]] std::vector<RoleLine> roles(const std::string& role) const {
        std::vector<RoleLine> found;
        for (const std::string& line : text::split(status(), '\n')) {
            const auto words = text::split_list(line, ' ');
            if (words.size() < 4 || words[0] != role || words[1] != "pid") continue;
            found.push_back({static_cast<pid_t>(*text::to_integer(words[2])), words[3]});
        }
        return found;
    }
    [[nodiscard]] pid_t pid_of(const std::string& role) const {
        const auto all = roles(role);
        return all.empty() ? -1 : all.back().pid;
    }
    // The wait status of the node's end, -1 if it does not end.
    int ended() {
        int wait_status = -1;
        if (!eventually([&] { return ::waitpid(pid, &wait_status, WNOHANG) == pid; })) return -1;
        pid = -1;
        return wait_status;
    }
};

inline bool is_alive(pid_t pid) {
    return pid > 1 && ::kill(pid, 0) == 0;
}

}  // namespace qvd::supervisor::test
