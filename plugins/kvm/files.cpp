#include "files.hpp"

#include <qvd/plugin.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

namespace qvd::kvm {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw sdk::Failure(QVD_UNAVAILABLE, "cannot " + what + ": " + std::strerror(errno));
}

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno != EINTR) return false;
        if (written > 0) content.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

// What is data between holes goes over; the end is set last.
bool copy_data(int from, int to) {
    const off_t size = ::lseek(from, 0, SEEK_END);
    for (off_t data = 0; (data = ::lseek(from, data, SEEK_DATA)) >= 0;) {
        const off_t hole = ::lseek(from, data, SEEK_HOLE);
        off_t target = data;
        while (data < hole) {
            const ssize_t copied = ::copy_file_range(from, &data, to, &target,
                                                     static_cast<std::size_t>(hole - data), 0);
            if (copied <= 0) return false;
        }
    }
    return errno == ENXIO && ::ftruncate(to, size) == 0;
}

}  // namespace

void rename_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) fail("rename " + from);
}

void copy_file(const std::string& from, const std::string& to) {
    const std::string fresh = to + ".new";
    remove_file(fresh);
    const int source = ::open(from.c_str(), O_RDONLY | O_CLOEXEC);
    if (source < 0) fail("read " + from);
    const int target = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    const bool copied =
        target >= 0 && (::ioctl(target, FICLONE, source) == 0 || copy_data(source, target));
    const int error = errno;
    ::close(source);
    if (target >= 0) ::close(target);
    if (copied) return rename_file(fresh, to);
    ::unlink(fresh.c_str());
    errno = error;
    fail("copy " + from + " to " + to);
}

void remove_folder(const std::string& path) {
    for (const std::string& name : names_in(path)) remove_file(path + "/" + name);
    if (::rmdir(path.c_str()) != 0 && errno != ENOENT) fail("remove " + path);
}

void make_folders(const std::string& path, unsigned mode) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        const std::string part = path.substr(0, end);
        if (::mkdir(part.c_str(), end == std::string::npos ? mode : 0755U) != 0 && errno != EEXIST)
            fail("make the folder " + part);
    }
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
    if (!folder) return names;
    while (const dirent* entry = ::readdir(folder.get())) {
        const std::string_view name = static_cast<const char*>(entry->d_name);
        if (name != "." && name != "..") names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

bool exists(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0;
}

void replace_file(const std::string& path, std::string_view content, unsigned mode) {
    const std::string fresh = path + ".new";
    ::unlink(fresh.c_str());
    const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) fail("write " + fresh);
    const bool written = write_all(fd, content) && ::fchmod(fd, mode) == 0;
    const int error = errno;
    ::close(fd);
    if (written && ::rename(fresh.c_str(), path.c_str()) == 0) return;
    if (!written) errno = error;
    const int why = errno;
    ::unlink(fresh.c_str());
    errno = why;
    fail("write " + path);
}

std::optional<std::string> read_file(const std::string& path) {
    constexpr std::size_t limit = 65536;
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return std::nullopt;
    std::string content(limit, '\0');
    std::size_t size = 0;
    ssize_t n = 0;
    while (size < limit && (n = ::read(fd, content.data() + size, limit - size)) > 0)
        size += static_cast<std::size_t>(n);
    ::close(fd);
    if (n < 0) return std::nullopt;
    content.resize(size);
    return content;
}

void remove_file(const std::string& path) {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) fail("remove " + path);
}

std::uint64_t disk_bytes(const std::string& path) {
    struct stat found {};
    constexpr std::uint64_t block = 512;
    return ::stat(path.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * block
                                             : 0;
}

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace qvd::kvm
