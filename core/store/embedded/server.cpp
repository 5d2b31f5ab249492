#include "store/embedded/server.hpp"

#include "base/file.hpp"
#include "base/process_facts.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <thread>

namespace qvd::store::embedded {

namespace {

namespace fs = std::filesystem;

constexpr const char* server_root = "/usr/lib/postgresql";

// argv and environment, ready before the fork: the child of a threaded program may not allocate.
struct Prepared {
    std::vector<char*> arguments;
    std::vector<char*> environment;
};

Prepared prepare(const std::vector<std::string>& command) {
    static const std::array<std::string, 4> environment{
        "PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "PG_OOM_ADJUST_FILE=/proc/self/oom_score_adj",
        "PG_OOM_ADJUST_VALUE=0"};
    Prepared prepared;
    // execve() takes char* but changes nothing.
    for (const std::string& argument : command)
        prepared.arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT
    for (const std::string& variable : environment)
        prepared.environment.push_back(const_cast<char*>(variable.c_str()));  // NOLINT
    prepared.arguments.push_back(nullptr);
    prepared.environment.push_back(nullptr);
    return prepared;
}

// In the child: becomes the user and the program, or ends with 127.
[[noreturn]] void become(const OsUser& user, const Prepared& prepared, int input, int output) {
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
    for (const int number : {SIGPIPE, SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT})
        (void)::signal(number, SIG_DFL);
    // The kernel shall rather kill a backend than the server of all.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): open() is one
    if (const int oom = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC); oom >= 0) {
        [[maybe_unused]] const ssize_t written = ::write(oom, "-500", 4);
        ::close(oom);
    }
    const bool ready = ::dup2(input, 0) == 0 && ::dup2(output, 1) == 1 && ::dup2(output, 2) == 2 &&
                       ::close_range(3, ~0U, 0) == 0 &&
                       ::setgroups(user.groups.size(), user.groups.data()) == 0 &&
                       ::setresgid(user.gid, user.gid, user.gid) == 0 &&
                       ::setresuid(user.uid, user.uid, user.uid) == 0 && ::chdir("/") == 0;
    ::umask(077);
    if (ready)
        ::execve(prepared.arguments[0], prepared.arguments.data(), prepared.environment.data());
    ::_exit(127);
}

Error failed(const std::string& program, const std::string& how) {
    return {ErrorKind::unavailable, "database.start", program + " " + how};
}

Result<void> await_end(pid_t child, const std::string& program, Instant deadline) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
        if (wait_a_little(deadline)) continue;
        ::kill(child, SIGKILL);
        ::waitpid(child, &status, 0);
        return failed(program, "took too long");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return failed(program, WIFEXITED(status)
                               ? "ended with status " + std::to_string(WEXITSTATUS(status))
                               : "was killed by signal " + std::to_string(WTERMSIG(status)));
}

// A file without a name that holds `input`: no pipe that could fill up.
Result<UniqueFd> file_with(const std::string& input) {
    UniqueFd file(::memfd_create("qvd-database-input", MFD_CLOEXEC));
    if (!file ||
        ::write(file.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()))
        return errno_error("database.start", "cannot prepare the input of a program");
    ::lseek(file.get(), 0, SEEK_SET);
    return file;
}

}  // namespace

Result<OsUser> find_user(const std::string& name) {
    std::array<char, 4096> space{};
    passwd entry{};
    passwd* found = nullptr;
    ::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
    if (found == nullptr)
        return Error{ErrorKind::unavailable, "database.user",
                     "the user " + name + ", who runs the embedded database, does not exist: " +
                         "systemd-sysusers makes it from /usr/lib/sysusers.d/qvd.conf"};
    OsUser user{name, entry.pw_uid, entry.pw_gid, {}};
    int count = 64;
    user.groups.resize(64);
    if (::getgrouplist(name.c_str(), user.gid, user.groups.data(), &count) < 0) count = 1;
    user.groups.front() = count == 1 ? user.gid : user.groups.front();
    user.groups.resize(static_cast<std::size_t>(count));
    return user;
}

Result<std::string> find_server(const std::string& major_version) {
    std::vector<std::int64_t> versions;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(server_root, ignored)) {
        const auto version = text::to_integer(entry.path().filename().string());
        if (version && fs::exists(entry.path() / "bin" / "postgres", ignored))
            versions.push_back(*version);
    }
    if (versions.empty())
        return Error{ErrorKind::unavailable, "database.server",
                     "no PostgreSQL server is installed for the embedded database: install "
                     "postgresql-15, or set database.host"};
    std::string wanted = major_version;
    if (wanted.empty()) wanted = std::to_string(*std::ranges::max_element(versions));
    if (std::ranges::count(versions, text::to_integer(wanted).value_or(0)) == 0)
        return Error{ErrorKind::unavailable, "database.server",
                     "the embedded database was made by PostgreSQL " + wanted +
                         ", whose server is not installed: install postgresql-" + wanted};
    return std::string(server_root) + "/" + wanted + "/bin";
}

Result<void> run(const OsUser& user, const std::vector<std::string>& command,
                 const std::string& input, int log, Instant deadline) {
    const Prepared prepared = prepare(command);
    QVD_TRY(const UniqueFd stdin_file, file_with(input));
    const pid_t child = ::fork();
    if (child < 0) return errno_error("database.start", "cannot start a process");
    if (child == 0) become(user, prepared, stdin_file.get(), log);
    return await_end(child, command.front(), deadline);
}

Result<pid_t> start(const OsUser& user, const std::vector<std::string>& command, int log) {
    const Prepared prepared = prepare(command);
    QVD_TRY(const UniqueFd stdin_file, file_with({}));
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("database.start", "cannot make a pipe");
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    const pid_t between = ::fork();
    if (between < 0) return errno_error("database.start", "cannot start a process");
    if (between == 0) {
        ::setsid();
        const pid_t server = ::fork();
        if (server == 0) become(user, prepared, stdin_file.get(), log);
        const bool told = ::write(writing.get(), &server, sizeof server) == sizeof server;
        ::_exit(told ? 0 : 1);
    }
    writing.reset();
    pid_t server = -1;
    const bool told = ::read(reading.get(), &server, sizeof server) == sizeof server;
    int status = 0;
    ::waitpid(between, &status, 0);
    if (!told || server <= 0) return failed(command.front(), "could not be started");
    return server;
}

bool is_alive(pid_t pid) {
    const auto facts = pid > 0 ? facts_of(pid) : std::nullopt;
    return facts && !facts->has_ended;
}

bool is_server_in(pid_t pid, const std::string& folder) {
    const fs::path process = "/proc/" + std::to_string(pid);
    std::error_code gone;
    if (fs::read_symlink(process / "cwd", gone) != fs::weakly_canonical(folder, gone)) return false;
    // "postgres (deleted)" after an upgrade.
    const std::string program = fs::read_symlink(process / "exe", gone).filename().string();
    return (program == "postgres" || program.starts_with("postgres ")) && is_alive(pid);
}

std::vector<pid_t> servers_in(const std::string& folder) {
    std::vector<pid_t> found;
    std::error_code error;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
        const auto pid = text::to_integer(entry.path().filename().string());
        if (pid && is_server_in(static_cast<pid_t>(*pid), folder))
            found.push_back(static_cast<pid_t>(*pid));
    }
    return found;
}

bool wait_a_little(Instant deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return std::chrono::steady_clock::now() < deadline;
}

}  // namespace qvd::store::embedded
