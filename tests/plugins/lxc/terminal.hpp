// A program on a terminal of its own.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

namespace qvd::test {

// What a program says on a terminal where this is typed whenever it is quiet, until `end` is among
// it; 10 s.
inline std::string typed_to(const std::vector<const char*>& program, const std::string& keys,
                            const std::string& end) {
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
        std::vector<char*> arguments;
        for (const char* const word : program)
            arguments.push_back(
                const_cast<char*>(word));  // NOLINT(*-const-cast): execvp() asks for it
        arguments.push_back(nullptr);
        ::execvp(arguments.front(), arguments.data());
        ::_exit(127);
    }
    REQUIRE(child > 0);
    std::string said;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (said.find(end) == std::string::npos && std::chrono::steady_clock::now() < until) {
        pollfd waits{terminal, POLLIN, 0};
        char part[1024];
        // Quiet: it waits, or has thrown away what was typed before it listened.
        if (::poll(&waits, 1, 100) == 0 &&
            ::write(terminal, keys.data(), keys.size()) != static_cast<ssize_t>(keys.size()))
            break;
        if ((waits.revents & (POLLIN | POLLHUP)) == 0) continue;
        const ssize_t got = ::read(terminal, part, sizeof part);
        if (got <= 0) break;
        said.append(part, static_cast<std::size_t>(got));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(terminal);
    return said;
}

}  // namespace qvd::test
