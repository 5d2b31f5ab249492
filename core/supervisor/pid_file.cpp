#include "supervisor/pid_file.hpp"

#include "base/file.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace qvd::supervisor {

namespace {

// Whether `path` still is the file that was opened: the one before may have removed it on its way
// out.
bool is_same_file(int fd, const std::string& path) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
           opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

Result<UniqueFd> open_locked(const std::string& path) {
    UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)};
    if (!fd) return errno_error("node.pid_file", "cannot open " + path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) return errno_error("node.pid_file", "cannot lock " + path);
        const std::string pid{text::trim(file::read(path, 64).value_or({}))};
        return Error{ErrorKind::conflict, "node.runs_already",
                     "qvd-node runs already, with pid " + pid + " (" + path + ")"};
    }
    return fd;
}

}  // namespace

Result<UniqueFd> lock_pid_file(const std::string& path) {
    QVD_TRY(UniqueFd fd, open_locked(path));
    while (!is_same_file(fd.get(), path)) {
        QVD_TRY(fd, open_locked(path));
    }
    const std::string line = std::to_string(::getpid()) + "\n";
    if (::ftruncate(fd.get(), 0) != 0 ||
        ::pwrite(fd.get(), line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
        return errno_error("node.pid_file", "cannot write " + path);
    return fd;
}

}  // namespace qvd::supervisor
