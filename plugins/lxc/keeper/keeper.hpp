// Keeps one container: starts the process that liblxc runs it in, holds its console, answers on a
// control socket, and writes down how it ended. One thread, one poll(); liblxc is never in here.
//
// Files in its run directory, ID being the VM's number: ID.sock (control), ID.state (what is the
// case, and at the end how it came), ID.console.sock, ID.console.log.
//
// Control socket: SOCK_SEQPACKET, root only. One datagram asks, one answers; answers are
// "key=value" lines of which the first is `answer=ok` or `answer=error` (then with `sentence`).
//     state    state (starting|running|stopping|ended), vm, uuid, incarnation, container, pid (of
//              the keeper), init (of the container), since (ms since 1970), reason, exit, sentence
//     watch    the same, and from then on the same with `event=state` at each change; the last one
//              has state=ended and comes when all is cleaned up, then the socket closes. Closed
//              without it: the keeper died, and its container with it
//     stop     sends the halt signal to the container's init
//     kill     KILL to init; after `kill_grace_ms` to everything in the container's cgroup
//     fail TEXT   the same, as a crash of which the text tells
//     usage    cpu_seconds, memory_bytes
//     console  socket, log
//     started PID   said by the container process's hook: init is about to begin
//     ended         said by its other hook: init is gone, the container's cgroup still there
#pragma once

#include "common/fields.hpp"
#include "common/unique_fd.hpp"
#include "keeper/console.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::lxc {

class Keeper {
public:
    explicit Keeper(const Fields& order, std::string program);
    // Until the container has ended. The program's exit code: 0 unless it could not even begin.
    int run();

private:
    struct Client {
        UniqueFd fd;
        bool watches = false;
    };

    bool open_files();
    bool block_signals();
    bool launch();
    bool hold_home();
    bool fail(std::string sentence);
    void wait_once();
    void serve(const pollfd& ready);
    void accept_client();
    void serve_client(int fd);
    Fields answer(std::string_view request, Client& client);
    void started(pid_t init);
    bool halt();
    void tell_init();
    [[nodiscard]] int patience_ms() const;
    void kill();
    void kill_harder();
    void on_signal();
    void reap();
    void container_ended(int wait_status);
    void explain_end(const Fields& report, int wait_status);
    void clean_up();
    void set_state(std::string_view state);
    void announce();
    [[nodiscard]] Fields status() const;
    [[nodiscard]] std::string file(std::string_view suffix) const;

    Fields order_;
    std::string program_;
    std::string container_;
    Console console_;
    UniqueFd listener_;
    UniqueFd signals_;
    UniqueFd home_;    // its lock, while the container is there
    UniqueFd report_;  // what the container process says at its end
    UniqueFd init_;    // pidfd
    std::vector<Client> clients_;
    pid_t container_pid_ = 0;
    pid_t init_pid_ = 0;
    std::string state_ = "starting";
    std::string reason_;
    std::string sentence_;
    int exit_code_ = 0;
    std::int64_t since_ms_ = 0;
    bool stop_asked_ = false;
    bool kill_asked_ = false;
    std::string failure_;  // that it was killed for
    std::int64_t init_began_ms_ = 0;
    std::int64_t tell_init_at_ms_ = 0;    // of the stop, once more; 0: not needed
    std::int64_t kill_harder_at_ms_ = 0;  // 0: not needed
    std::int64_t killed_for_memory_ = 0;
};

}  // namespace qvd::lxc
