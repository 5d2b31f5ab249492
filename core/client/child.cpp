#include "client/child.hpp"

#include "base/program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace qvd::client {
namespace {

class FileActions {
public:
    FileActions() { posix_spawn_file_actions_init(&actions_); }
    ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
    FileActions(const FileActions&) = delete;
    FileActions& operator=(const FileActions&) = delete;
    posix_spawn_file_actions_t* get() { return &actions_; }

private:
    posix_spawn_file_actions_t actions_{};
};

class Attributes {
public:
    Attributes() { posix_spawnattr_init(&attributes_); }
    ~Attributes() { posix_spawnattr_destroy(&attributes_); }
    Attributes(const Attributes&) = delete;
    Attributes& operator=(const Attributes&) = delete;
    posix_spawnattr_t* get() { return &attributes_; }

private:
    posix_spawnattr_t attributes_{};
};

}  // namespace

Result<void> find_program(const std::string& name) {
    if (program::is_there(name)) return {};
    return Error{ErrorKind::not_found, "display.nxproxy",
                 "there is no program " + name +
                     " (install the package nxproxy, or name another one with command.nxproxy in "
                     "client.conf)"};
}

Result<pid_t> start_child(const ChildSettings& settings) {
    FileActions files;
    posix_spawn_file_actions_addopen(files.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(files.get(), STDOUT_FILENO, settings.output_file.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
    posix_spawn_file_actions_adddup2(files.get(), STDOUT_FILENO, STDERR_FILENO);

    Attributes attributes;
    sigset_t none;
    sigset_t ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    posix_spawnattr_setsigmask(attributes.get(), &none);
    posix_spawnattr_setsigdefault(attributes.get(), &ignored);
    posix_spawnattr_setpgroup(attributes.get(), 0);
    posix_spawnattr_setflags(
        attributes.get(), POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

    std::vector<std::string> arguments = settings.arguments;
    std::vector<std::string> environment =
        program::environment_with(settings.environment, settings.without);
    pid_t pid = 0;
    errno = ::posix_spawnp(&pid, arguments.front().c_str(), files.get(), attributes.get(),
                           program::pointers_to(arguments).data(),
                           program::pointers_to(environment).data());
    if (errno != 0) return errno_error("display.nxproxy", "cannot run " + arguments.front());
    return pid;
}

}  // namespace qvd::client
