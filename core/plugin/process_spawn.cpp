#include "plugin/process_spawn.hpp"

#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>

namespace qvd::plugin {

namespace {

// The secret as a file that exists nowhere: the child's standard input.
Result<UniqueFd> input_file(const Secret& input) {
    UniqueFd fd{::memfd_create("qvd-input", MFD_CLOEXEC)};
    if (!fd) return errno_error("process.input", "cannot make the input of a process");
    std::string_view rest = input.reveal();
    while (!rest.empty()) {
        const ssize_t written = ::write(fd.get(), rest.data(), rest.size());
        if (written < 0) return errno_error("process.input", "cannot write a process's input");
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::lseek(fd.get(), 0, SEEK_SET) != 0)
        return errno_error("process.input", "cannot rewind a process's input");
    return fd;
}

class SpawnActions {
public:
    SpawnActions() {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigemptyset(&none);
        sigset_t all;
        sigfillset(&all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~SpawnActions() {
        ::posix_spawn_file_actions_destroy(&actions_);
        ::posix_spawnattr_destroy(&attributes_);
    }
    SpawnActions(const SpawnActions&) = delete;
    SpawnActions& operator=(const SpawnActions&) = delete;

    posix_spawn_file_actions_t* files() { return &actions_; }
    posix_spawnattr_t* attributes() { return &attributes_; }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));  // NOLINT
    out.push_back(nullptr);
    return out;
}

// Where its output goes; none: to this process's standard error, which outlives this process.
Result<UniqueFd> output_file(const ProcessOrder& order) {
    if (order.output_path.empty() && !order.close_output) return UniqueFd{};
    const char* const path = order.close_output ? "/dev/null" : order.output_path.c_str();
    UniqueFd fd{::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)};
    if (!fd) return errno_error("process.output", std::string("cannot open ") + path);
    return fd;
}

}  // namespace

Result<int> spawn(const ProcessOrder& order) {
    if (order.arguments.empty() || !order.arguments.front().starts_with('/'))
        return Error{ErrorKind::invalid, "process.program", "a program needs an absolute path"};
    QVD_TRY(const UniqueFd input, input_file(order.input));
    QVD_TRY(const UniqueFd output, output_file(order));
    SpawnActions actions;
    ::posix_spawn_file_actions_adddup2(actions.files(), input.get(), 0);
    ::posix_spawn_file_actions_adddup2(actions.files(), output ? output.get() : 2, 1);
    if (output) ::posix_spawn_file_actions_adddup2(actions.files(), output.get(), 2);
    ::posix_spawn_file_actions_addclosefrom_np(actions.files(), 3);
    ::posix_spawn_file_actions_addchdir_np(actions.files(),
                                           order.directory.empty() ? "/" : order.directory.c_str());
    pid_t pid = 0;
    const int problem =
        ::posix_spawn(&pid, order.arguments.front().c_str(), actions.files(), actions.attributes(),
                      pointers(order.arguments).data(), pointers(order.environment).data());
    if (problem == 0) return pid;
    errno = problem;
    const Error why = errno_error("process.program", "cannot start " + order.arguments.front());
    const bool missing = problem == ENOENT || problem == ENOTDIR;
    return Error{missing ? ErrorKind::not_found : why.kind(), why.code(), why.sentence()};
}

}  // namespace qvd::plugin
