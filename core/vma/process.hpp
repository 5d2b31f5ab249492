// The agent's child processes: commands, hooks, and questions that may take long.
#pragma once

#include "base/result.hpp"
#include "vma/loop.hpp"

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace qvd::vma {

// Whom a process runs as.
struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;  // all of them; gid is added
};

struct Command {
    std::vector<std::string> argv;  // argv[0] is a path, or a name that PATH knows
    std::vector<std::string> environment = default_environment();  // "NAME=value", all of it
    std::optional<Identity> identity;                              // none: stay root
    std::string folder = "/";
    mode_t umask = 022;
    std::string input;        // its standard input; empty: /dev/null
    std::string output_file;  // appended to, made 0640; empty: kept for Outcome::output
    Milliseconds limit{30'000};

    static std::vector<std::string> default_environment();
};

struct Outcome {
    int wait_status = 0;
    bool out_of_time = false;
    std::string output;  // at most its last 2 KiB

    [[nodiscard]] bool ok() const;
    // "useradd ended with status 9: user x exists".
    [[nodiscard]] std::string sentence(std::string_view name) const;
};

// In a child just forked: every signal does again what it does by default.
void reset_signals();

// One per program: owns SIGCHLD, and reaps every orphan that ends up with the agent.
class Processes {
public:
    explicit Processes(Loop& loop);
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;
    ~Processes() = default;

    // Starts it as the leader of a session and process group of its own, and does not wait.
    // Errors: vma.command (there is no such program, ...).
    Result<pid_t> start(const Command& command);
    // Starts it with `connection` as its standard input and output, blocking again; what it
    // complains of goes to the command's output_file.
    Result<pid_t> serve(const Command& command, int connection);
    // Waits for its end; past `limit` the whole process group is killed.
    Task<Result<Outcome>> run(Command command);
    // What `question` answers, asked in a child: what it loads or waits for does not touch the
    // agent. At most 64 KiB. Errors: vma.question.
    Task<Result<std::string>> ask(std::function<std::string()> question, Milliseconds limit);

    // Calls back once with the wait status.
    void on_exit(pid_t child, std::function<void(int wait_status)> callback);

private:
    struct Streams {
        int input;
        int output;
        int complaints;
    };
    Result<pid_t> spawn(const Command& command, Streams streams);
    Task<Outcome> wait(pid_t child, Milliseconds limit);
    void reap();

    Loop& loop_;
    std::map<pid_t, std::function<void(int)>> waiting_;
    // Ends that came before anybody asked; only of processes that start() made.
    std::map<pid_t, std::optional<int>> started_;
};

}  // namespace qvd::vma
