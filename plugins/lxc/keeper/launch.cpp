#include "keeper/launch.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

namespace qvd::lxc {

namespace {

// The order as a file without a name, read from its beginning.
UniqueFd nameless_file(const std::string& text) {
    UniqueFd file(::memfd_create("order", MFD_CLOEXEC));
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return {};
    ::lseek(file.get(), 0, SEEK_SET);
    return file;
}

// posix_spawn with signals as at a program's beginning.
int spawn(const std::string& program, int input, int report, pid_t& pid) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, 0);
    // liblxc says its errors here too; the report and its log file have them.
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&files, report, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    sigset_t usual;
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    sigaddset(&usual, SIGHUP);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const std::string parent = std::to_string(::getpid());
    std::string name = program;
    std::string argument = parent;
    char* arguments[] = {name.data(), argument.data(), nullptr};
    char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    char* environment[] = {path, nullptr};
    const int error =
        ::posix_spawn(&pid, name.c_str(), &files, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

}  // namespace

Launched launch_container(const Fields& order) {
    Launched launched;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        launched.sentence = std::string("cannot make a pipe: ") + std::strerror(errno);
        return launched;
    }
    launched.report = UniqueFd(ends[0]);
    const UniqueFd report(ends[1]);
    const UniqueFd input = nameless_file(order.text());
    const std::string program = order.get("runner");
    const int error = spawn(program, input.get(), report.get(), launched.pid);
    if (error != 0) {
        launched.pid = -1;
        launched.sentence = "cannot run " + program + ": " + std::strerror(error);
    }
    return launched;
}

void complain(std::string_view sentence) {
    const std::string line = "qvd-lxc-keeper: " + std::string(sentence) + "\n";
    [[maybe_unused]] const ssize_t ignored = ::write(2, line.data(), line.size());
}

}  // namespace qvd::lxc
