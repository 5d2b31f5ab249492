// A process that is known by its id and the time it started, and so cannot be mistaken for a later
// one with the same id; not necessarily a child.
#pragma once

#include "base/process_facts.hpp"
#include "base/result.hpp"
#include "vma/loop.hpp"

#include <sys/types.h>

#include <cstdint>

namespace qvd::vma {

class WatchedProcess {
public:
    explicit WatchedProcess(Loop& loop) : loop_(loop) {}
    WatchedProcess(const WatchedProcess&) = delete;
    WatchedProcess& operator=(const WatchedProcess&) = delete;
    ~WatchedProcess() { forget(); }

    // Calls `on_gone` once when it has ended. Errors: vma.process, if it is gone already or, where
    // `started` is not 0, is another one by now.
    Result<void> watch(pid_t pid, std::uint64_t started, std::function<void()> on_gone);
    void forget();

    [[nodiscard]] bool alive() const { return static_cast<bool>(fd_); }
    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] std::uint64_t started() const { return started_; }
    // Does nothing if it is gone.
    void send(int signal) const;
    // To its whole process group, if it leads one.
    void send_group(int signal) const;

private:
    Loop& loop_;
    UniqueFd fd_;
    Loop::Handle watch_ = 0;
    pid_t pid_ = 0;
    std::uint64_t started_ = 0;
};

// Whether a socket of `uid` listens on TCP `port`, read from /proc/net: a connection to the NX port
// would abort the agent (it takes anything for a client).
bool is_listening(std::uint16_t port, uid_t uid);
// The same question asked of the text of /proc/net/tcp or tcp6.
bool lists_listener(std::string_view table, std::uint16_t port, uid_t uid);

}  // namespace qvd::vma
