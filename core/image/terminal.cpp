#include "image/terminal.hpp"

#include "base/program.hpp"
#include "base/unique_fd.hpp"

#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace qvd::image {
namespace {

// What a shell does to a terminal it should undo itself; one that is killed cannot.
class TerminalAsItWas {
public:
    TerminalAsItWas() : known_(::tcgetattr(STDIN_FILENO, &before_) == 0) {}
    ~TerminalAsItWas() {
        if (!known_) return;
        // A process in the background that changes its terminal is stopped for it otherwise.
        sigset_t one;
        sigset_t others;
        sigemptyset(&one);
        sigaddset(&one, SIGTTOU);
        ::pthread_sigmask(SIG_BLOCK, &one, &others);
        ::tcsetpgrp(STDIN_FILENO, ::getpgrp());
        ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
        ::pthread_sigmask(SIG_SETMASK, &others, nullptr);
    }
    TerminalAsItWas(const TerminalAsItWas&) = delete;
    TerminalAsItWas& operator=(const TerminalAsItWas&) = delete;

private:
    termios before_{};
    bool known_;
};

Result<pid_t> spawn(const Command& command, bool person) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    if (!person) posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    std::vector<std::string> arguments = started_as(command);
    std::vector<std::string> environment =
        program::environment_with(command.environment, {"QVDPASSWORD"});
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

}  // namespace

bool person_is_there() {
    return ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
}

Result<int> run_at_terminal(const Command& command, bool person) {
    const TerminalAsItWas terminal;
    QVD_TRY(const pid_t pid, spawn(command, person));
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): syscall() is declared that way
    const UniqueFd ended{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
    std::array<pollfd, 2> watched{{{ended.get(), POLLIN, 0}, {command.stop_fd, POLLIN, 0}}};
    while (::poll(watched.data(), watched.size(), -1) < 0) {
    }
    const bool stopped = watched[0].revents == 0;
    if (stopped) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (stopped) return Error{ErrorKind::cancelled, "stopped", "stopped by a signal"};
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace qvd::image
