// A port of this machine's own address, 127.0.0.1, behind which a stream of a VM lies. Nobody else
// of this machine comes in: only connections of the user who opened it.
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::qa {

class LocalDoor {
public:
    // At `port`; 0: a free one. Errors: door.port.
    static Result<LocalDoor> open(std::uint16_t port);
    [[nodiscard]] std::uint16_t port() const { return port_; }

    // The next connection of this user, non-blocking; others are turned away. Empty when `ends`, a
    // process's descriptor or -1, or `stop_fd` is readable first.
    [[nodiscard]] UniqueFd accept(int ends, int stop_fd) const;

private:
    UniqueFd listener_;
    std::uint16_t port_ = 0;
};

// Of /proc/net/tcp: the user whose socket has this local and this remote end, as 127.0.0.1; -1 if
// there is none.
std::int64_t owner_of_end(std::string_view table, std::uint16_t local, std::uint16_t remote);

// A program in the foreground of this terminal. Ends what it started when it goes.
class Foreground {
public:
    // Looked up in PATH; no signal blocked. Errors: program.start.
    static Result<Foreground> start(std::vector<std::string> arguments);
    Foreground(Foreground&& other) noexcept;
    Foreground& operator=(Foreground&&) = delete;
    Foreground(const Foreground&) = delete;
    Foreground& operator=(const Foreground&) = delete;
    ~Foreground();

    // Readable once it has ended.
    [[nodiscard]] int ended_fd() const { return process_.get(); }
    // Its exit status, or 128 and the signal's number. Asks it to end first if `stop`.
    int wait(bool stop);

private:
    Foreground(pid_t pid, UniqueFd process) : pid_(pid), process_(std::move(process)) {}

    pid_t pid_ = 0;
    UniqueFd process_;
};

}  // namespace qvd::qa
