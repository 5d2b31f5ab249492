#include "image/command.hpp"

#include "base/program.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>

namespace qvd::image {
namespace {

Result<pid_t> spawn(const Command& command, int output) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    std::vector<std::string> arguments = command.arguments;
    std::vector<std::string> environment = program::environment_with(command.environment);
    pid_t pid = 0;
    const int failure = ::posix_spawnp(&pid, arguments.front().c_str(), &files, nullptr,
                                       program::pointers_to(arguments).data(),
                                       program::pointers_to(environment).data());
    posix_spawn_file_actions_destroy(&files);
    errno = failure;
    if (failure != 0) return errno_error("image.tool", "cannot run " + arguments.front());
    return pid;
}

void hear_lines(int fd, const std::function<void(const std::string&)>& hear) {
    std::string pending;
    std::array<char, 4096> chunk{};
    for (;;) {
        const ssize_t got = ::read(fd, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        pending.append(chunk.data(), static_cast<std::size_t>(got));
        for (std::size_t end = pending.find('\n'); end != std::string::npos;
             end = pending.find('\n')) {
            hear(pending.substr(0, end));
            pending.erase(0, end + 1);
        }
    }
    if (!pending.empty()) hear(pending);
}

}  // namespace

Result<int> run_command(const Command& command,
                        const std::function<void(const std::string&)>& hear) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("image.tool", "cannot make a pipe");
    const UniqueFd reader{ends[0]};
    UniqueFd writer{ends[1]};
    QVD_TRY(const pid_t pid, spawn(command, writer.get()));
    writer.reset();
    hear_lines(reader.get(), hear);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace qvd::image
