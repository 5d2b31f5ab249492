#include "vma/process.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace qvd::vma {

namespace {

constexpr std::size_t kept_output = 2048;

UniqueFd memory_file(std::string_view content) {
    UniqueFd fd{::memfd_create("qvd-vma", MFD_CLOEXEC)};
    if (fd && !content.empty() &&
        (::write(fd.get(), content.data(), content.size()) !=
             static_cast<ssize_t>(content.size()) ||
         ::lseek(fd.get(), 0, SEEK_SET) != 0))
        fd.reset();
    return fd;
}

// The last `limit` bytes of a memory file.
std::string content_of(int fd, std::size_t limit) {
    const off_t size = ::lseek(fd, 0, SEEK_END);
    const auto wanted = std::min(static_cast<std::size_t>(std::max<off_t>(size, 0)), limit);
    std::string content(wanted, '\0');
    const ssize_t got = ::pread(fd, content.data(), wanted, size - static_cast<off_t>(wanted));
    content.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return content;
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts)
        out.push_back(const_cast<char*>(text.c_str()));  // NOLINT: execve does not write to them
    out.push_back(nullptr);
    return out;
}

bool become(const Identity& identity) {
    return ::setgroups(identity.groups.size(), identity.groups.data()) == 0 &&
           ::setresgid(identity.gid, identity.gid, identity.gid) == 0 &&
           ::setresuid(identity.uid, identity.uid, identity.uid) == 0;
}

// In the child, up to the new program; comes back only with what failed in errno.
void become_program(const Command& command, int input, int output, int complaints) {
    reset_signals();
    ::setsid();
    // Whatever the agent inherited is no business of the program's.
    ::syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    ::umask(command.umask);
    if (::dup2(input, STDIN_FILENO) < 0 || ::dup2(output, STDOUT_FILENO) < 0 ||
        ::dup2(complaints, STDERR_FILENO) < 0)
        return;
    if (command.identity && !become(*command.identity)) return;
    if (::chdir(command.folder.c_str()) != 0 && ::chdir("/") != 0) return;
    const std::vector<char*> argv = pointers(command.argv);
    const std::vector<char*> environment = pointers(command.environment);
    ::execvpe(argv[0], argv.data(), environment.data());
}

Error cannot_run(const Command& command, std::string_view why) {
    return {ErrorKind::unavailable, "vma.command",
            "cannot run " + (command.argv.empty() ? std::string("nothing") : command.argv.front()) +
                ": " + std::string(why)};
}

}  // namespace

void reset_signals() {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, nullptr);
    // Those that cannot be set fail, and that is all.
    for (int number = 1; number < SIGRTMIN; ++number)
        ::signal(number, SIG_DFL);  // NOLINT(cert-err33-c)
}

std::vector<std::string> Command::default_environment() {
    return {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
            "LANG=C.UTF-8"};
}

bool Outcome::ok() const {
    return !out_of_time && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
}

std::string Outcome::sentence(std::string_view name) const {
    std::string said(name);
    if (out_of_time)
        said += " did not end in time and was killed";
    else if (WIFSIGNALED(wait_status))
        said += " was killed by signal " + std::to_string(WTERMSIG(wait_status));
    else
        said += " ended with status " + std::to_string(WEXITSTATUS(wait_status));
    std::string last(text::trim(output));
    if (const std::size_t line = last.find_last_of('\n'); line != std::string::npos)
        last.erase(0, line + 1);
    return last.empty() ? said : said + ": " + last;
}

Processes::Processes(Loop& loop) : loop_(loop) {
    loop_.on_signal(SIGCHLD, [this] { reap(); });
}

Result<pid_t> Processes::start(const Command& command) {
    const UniqueFd input = command.input.empty()
                               ? UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}
                               : memory_file(command.input);
    const std::string file = command.output_file.empty() ? "/dev/null" : command.output_file;
    const UniqueFd output{
        ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640)};
    if (!input || !output) return errno_error("vma.command", "cannot open " + file);
    return spawn(command, {input.get(), output.get(), output.get()});
}

Result<pid_t> Processes::serve(const Command& command, int connection) {
    const std::string& file = command.output_file;
    const UniqueFd complaints{
        ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640)};
    if (!complaints) return errno_error("vma.command", "cannot open " + file);
    const int flags = ::fcntl(connection, F_GETFL);
    if (flags < 0 || ::fcntl(connection, F_SETFL, flags & ~O_NONBLOCK) != 0)
        return errno_error("vma.command", "cannot hand over a connection");
    return spawn(command, {connection, connection, complaints.get()});
}

Result<pid_t> Processes::spawn(const Command& command, Streams streams) {
    if (command.argv.empty()) return cannot_run(command, "the command is empty");
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("vma.command", "cannot open a pipe");
    UniqueFd result{ends[0]};
    UniqueFd report{ends[1]};
    const pid_t child = ::fork();
    if (child < 0) return errno_error("vma.command", "cannot start a process");
    if (child == 0) {
        become_program(command, streams.input, streams.output, streams.complaints);
        const int problem = errno;
        [[maybe_unused]] const ssize_t told = ::write(report.get(), &problem, sizeof problem);
        ::_exit(127);
    }
    report.reset();
    int problem = 0;
    ssize_t got = 0;
    // Closed by exec: this takes as long as starting the program does.
    while ((got = ::read(result.get(), &problem, sizeof problem)) < 0 && errno == EINTR) {
    }
    if (got == sizeof problem) {
        ::waitpid(child, nullptr, 0);
        return cannot_run(command, std::strerror(problem));  // NOLINT(concurrency-mt-unsafe)
    }
    started_.emplace(child, std::nullopt);
    return child;
}

Task<Result<Outcome>> Processes::run(Command command) {
    UniqueFd kept;
    Result<pid_t> child = Error{ErrorKind::internal, "vma.command", ""};
    if (command.output_file.empty()) {
        kept = memory_file("");
        const UniqueFd input = command.input.empty()
                                   ? UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}
                                   : memory_file(command.input);
        if (!kept || !input) co_return errno_error("vma.command", "cannot prepare a command");
        child = spawn(command, {input.get(), kept.get(), kept.get()});
    } else {
        child = start(command);
    }
    if (!child.ok()) co_return child.error();
    Outcome outcome = co_await wait(*child, command.limit);
    if (kept) outcome.output = content_of(kept.get(), kept_output);
    co_return outcome;
}

Task<Result<std::string>> Processes::ask(std::function<std::string()> question,
                                         Milliseconds limit) {
    const UniqueFd answer = memory_file("");
    if (!answer) co_return errno_error("vma.question", "cannot prepare a question");
    const pid_t child = ::fork();
    if (child < 0) co_return errno_error("vma.question", "cannot start a process");
    if (child == 0) {
        reset_signals();
        ::setsid();
        const std::string said = question();
        const bool told =
            ::write(answer.get(), said.data(), said.size()) == static_cast<ssize_t>(said.size());
        ::_exit(told ? 0 : 1);
    }
    started_.emplace(child, std::nullopt);
    const Outcome outcome = co_await wait(child, limit);
    if (!outcome.ok())
        co_return Error{ErrorKind::unavailable, "vma.question", outcome.sentence("the look-up")};
    co_return content_of(answer.get(), std::size_t{64} << 10U);
}

Task<Outcome> Processes::wait(pid_t child, Milliseconds limit) {
    Arrival<int> end;
    Outcome outcome;
    on_exit(child, [&end](int wait_status) { end.set(wait_status); });
    const Loop::Handle timer = loop_.after(limit, [&outcome, child] {
        outcome.out_of_time = true;
        ::kill(-child, SIGKILL);
    });
    outcome.wait_status = co_await end;
    loop_.remove(timer);
    // What it left running in its group past the limit was killed with it.
    co_return outcome;
}

void Processes::on_exit(pid_t child, std::function<void(int)> callback) {
    const auto found = started_.find(child);
    if (found != started_.end() && found->second) {
        const int wait_status = *found->second;
        started_.erase(found);
        // Not from inside the caller: it may not be ready for the answer yet.
        loop_.after(Milliseconds{0},
                    [callback = std::move(callback), wait_status] { callback(wait_status); });
        return;
    }
    waiting_[child] = std::move(callback);
}

void Processes::reap() {
    int wait_status = 0;
    for (pid_t ended = 0; (ended = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
        const auto found = waiting_.find(ended);
        if (found != waiting_.end()) {
            const auto callback = std::move(found->second);
            waiting_.erase(found);
            started_.erase(ended);
            callback(wait_status);
        } else if (const auto known = started_.find(ended); known != started_.end()) {
            known->second = wait_status;
        }
    }
}

}  // namespace qvd::vma
