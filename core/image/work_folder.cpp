#include "image/work_folder.hpp"

#include "base/program.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

namespace qvd::image {
namespace {

namespace fs = std::filesystem;

constexpr const char* prefix = ".qvd-image-";
// Waits for the end of its input. Whatever still writes into the folder is about to die.
constexpr const char* guard_script =
    "read nothing; for try in 1 2 3 4 5; do "
    "rm -rf --one-file-system \"$0\" 2>/dev/null && exit 0; sleep 1; done; exit 1";

UniqueFd folder_lock(const std::string& path) {
    UniqueFd fd{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) fd.reset();
    return fd;
}

// Folders whose makers are gone without their guards. One that was made this minute may not have
// its lock yet.
void sweep(const std::string& beside) {
    std::error_code ignored;
    std::vector<std::string> left;
    const auto recent = fs::file_time_type::clock::now() - std::chrono::minutes(1);
    for (const auto& entry : fs::directory_iterator(beside, ignored))
        if (entry.path().filename().string().starts_with(prefix) &&
            entry.last_write_time(ignored) < recent)
            left.push_back(entry.path().string());
    for (const std::string& path : left)
        if (const UniqueFd unused = folder_lock(path)) fs::remove_all(path, ignored);
}

}  // namespace

Result<WorkFolder> WorkFolder::make(const std::string& beside) {
    sweep(beside);
    std::string path = beside + "/" + prefix + "XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
        return errno_error("image.output", "cannot write in " + beside);
    WorkFolder folder{path, folder_lock(path)};
    QVD_CHECK(folder.set_guard());
    return folder;
}

Result<void> WorkFolder::set_guard() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return errno_error("image.output", "cannot make a pipe");
    const UniqueFd reader{ends[0]};
    alive_.reset(ends[1]);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, reader.get(), STDIN_FILENO);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    std::vector<std::string> arguments{"sh", "-c", guard_script, path_};
    std::vector<std::string> environment = program::environment_with({}, {"QVDPASSWORD"});
    errno =
        ::posix_spawnp(&guard_, "sh", &files, &attributes, program::pointers_to(arguments).data(),
                       program::pointers_to(environment).data());
    posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (errno != 0) return errno_error("image.tool", "cannot run sh");
    return {};
}

WorkFolder::WorkFolder(WorkFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      lock_(std::move(other.lock_)),
      alive_(std::move(other.alive_)),
      guard_(std::exchange(other.guard_, 0)) {
}

WorkFolder::~WorkFolder() {
    alive_.reset();
    while (guard_ > 0 && ::waitpid(guard_, nullptr, 0) < 0 && errno == EINTR) {
    }
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace qvd::image
