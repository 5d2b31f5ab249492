#include "supervisor/launcher.hpp"

#include "base/file.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string_view>

namespace qvd::supervisor {

namespace {

// What a role may inherit: no proxy, no NOTIFY_SOCKET, no secret somebody has exported.
constexpr std::array<std::string_view, 8> inherited{
    "PATH", "TZ", "LANG", "LC_ALL", "LC_CTYPE", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"};

std::vector<std::string> environment() {
    std::vector<std::string> variables;
    for (const std::string_view name : inherited)
        if (const char* const value =
                ::getenv(std::string(name).c_str()))  // NOLINT(concurrency-mt-unsafe): one thread
            variables.push_back(std::string(name) + "=" + value);
    return variables;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

constexpr const char* oom_score_file = "/proc/self/oom_score_adj";

bool is_spared() {
    const auto score = file::read(oom_score_file, 64);
    return score.ok() && score->starts_with('-');
}

// Between fork and exec only calls that are safe there.
void be_spared_no_more() {
    const int score = ::open(oom_score_file, O_WRONLY | O_CLOEXEC);
    [[maybe_unused]] const ssize_t ignored = ::write(score, "0", 1);
    ::close(score);
}

// As above.
[[noreturn]] void become(char* const* arguments, char* const* variables, int control, int output,
                         bool spared) {
    ::setpgid(0, 0);
    if (spared) be_spared_no_more();
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    if (output >= 0) {
        ::dup2(output, STDOUT_FILENO);
        ::dup2(output, STDERR_FILENO);
    }
    unsigned first_closed = role_control_fd;
    if (control >= 0) {
        if (control == role_control_fd)
            ::fcntl(control, F_SETFD, 0);
        else
            ::dup2(control, role_control_fd);
        ++first_closed;
    }
    ::close_range(first_closed, ~0U, 0);
    ::execve(arguments[0], arguments, variables);
    ::_exit(127);
}

Result<pid_t> start(std::vector<std::string> command, int control, int output) {
    if (command.empty() || ::access(command.front().c_str(), X_OK) != 0)
        return errno_error("process.start",
                           "cannot run " + (command.empty() ? "nothing" : command.front()));
    std::vector<std::string> variables = environment();
    const std::vector<char*> arguments = pointers(command);
    const std::vector<char*> environ_pointers = pointers(variables);
    const bool spared = is_spared();
    const pid_t pid = ::fork();
    if (pid < 0) return errno_error("process.start", "cannot fork");
    if (pid == 0) become(arguments.data(), environ_pointers.data(), control, output, spared);
    return pid;
}

}  // namespace

Result<Launched> ProgramLauncher::launch(net::Role role, const std::string& instance) {
    QVD_TRY(auto ends, net::role_sockets());
    QVD_TRY(const pid_t pid, start(command_(role, instance), ends.second.get(), -1));
    return Launched{pid, std::move(ends.first)};
}

void ProgramLauncher::signal(pid_t pid, int number) {
    if (pid > 1) ::kill(pid, number);
}

Result<pid_t> run_program(const std::vector<std::string>& command, int output) {
    return start(command, -1, output);
}

}  // namespace qvd::supervisor
