#include "image/command.hpp"

#include "base/program.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>

namespace qvd::image {
namespace {

// A group of its own: what is typed at our terminal is for us. It starts with no signal blocked.
void start_apart_from_us(posix_spawnattr_t& attributes) {
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
}

Result<pid_t> spawn(const Command& command, int output) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    posix_spawnattr_t attributes;
    start_apart_from_us(attributes);
    std::vector<std::string> arguments = started_as(command);
    std::vector<std::string> environment = program::environment_with(command.environment);
    pid_t pid = 0;
    const int failure = ::posix_spawnp(&pid, arguments.front().c_str(), &files, &attributes,
                                       program::pointers_to(arguments).data(),
                                       program::pointers_to(environment).data());
    posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    errno = failure;
    if (failure != 0) return errno_error("image.tool", "cannot run " + arguments.front());
    return pid;
}

// What a program says, a line at a time, until it has ended or is to be stopped.
class Hearing {
public:
    Hearing(int fd, const std::function<void(const std::string&)>& hear) : fd_(fd), hear_(hear) {}

    enum class End { silence, stopped, late };

    End until_end(int stop_fd, std::chrono::milliseconds patience) {
        using Clock = std::chrono::steady_clock;
        const auto last = Clock::now() + patience;
        for (;;) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(last - Clock::now());
            if (patience.count() >= 0 && left.count() <= 0) return End::late;
            std::array<pollfd, 2> watched{{{fd_, POLLIN, 0}, {stop_fd, POLLIN, 0}}};
            const int wait = patience.count() < 0 ? -1 : static_cast<int>(left.count());
            if (::poll(watched.data(), watched.size(), wait) < 0) continue;
            if (watched[1].revents != 0) return End::stopped;
            if (watched[0].revents != 0 && !take()) return End::silence;
        }
    }

private:
    // False: that was all.
    bool take() {
        std::array<char, 4096> chunk{};
        const ssize_t got = ::read(fd_, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) return true;
        if (got > 0) pending_.append(chunk.data(), static_cast<std::size_t>(got));
        for (std::size_t end = pending_.find('\n'); end != std::string::npos;
             end = pending_.find('\n')) {
            hear_(pending_.substr(0, end));
            pending_.erase(0, end + 1);
        }
        if (got <= 0 && !pending_.empty()) hear_(pending_);
        return got > 0;
    }

    int fd_;
    const std::function<void(const std::string&)>& hear_;
    std::string pending_;
};

// What is apart dies at once and leaves nothing; anything else is given the time to tidy up.
void stop(pid_t group, bool apart, Hearing& hearing) {
    constexpr std::chrono::seconds time_to_tidy_up{15};
    if (!apart) {
        ::kill(-group, SIGTERM);
        if (hearing.until_end(-1, time_to_tidy_up) == Hearing::End::silence) return;
    }
    ::kill(-group, SIGKILL);
    (void)hearing.until_end(-1, time_to_tidy_up);
}

}  // namespace

std::vector<std::string> started_as(const Command& command) {
    // Who is killed cannot tell its children: the kernel does.
    std::vector<std::string> arguments{"setpriv", "--pdeathsig", command.apart ? "KILL" : "TERM"};
    if (command.apart)
        arguments.insert(arguments.end(), {"unshare", "--mount", "--pid", "--fork", "--mount-proc",
                                           "--kill-child=KILL"});
    arguments.emplace_back("--");
    arguments.insert(arguments.end(), command.arguments.begin(), command.arguments.end());
    return arguments;
}

Result<int> run_command(const Command& command,
                        const std::function<void(const std::string&)>& hear) {
    if (!program::is_there(command.arguments.front()))
        return Error{ErrorKind::unavailable, "image.tool",
                     command.arguments.front() + " is not installed"};
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("image.tool", "cannot make a pipe");
    const UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    QVD_TRY(const pid_t pid, spawn(command, writer.get()));
    writer.reset();
    Hearing hearing(reader.get(), hear);
    const bool stopped =
        hearing.until_end(command.stop_fd, std::chrono::milliseconds(-1)) == Hearing::End::stopped;
    if (stopped) stop(pid, command.apart, hearing);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (stopped) return Error{ErrorKind::cancelled, "stopped", "stopped by a signal"};
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace qvd::image
