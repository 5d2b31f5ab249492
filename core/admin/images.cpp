#include "admin/images.hpp"

#include "base/file.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace qvd::admin {

namespace {

constexpr std::size_t chunk_bytes = 1UL << 20U;

Result<std::uint64_t> free_bytes(const std::string& folder) {
    struct statvfs space {};
    if (::statvfs(folder.c_str(), &space) != 0) return errno_error("image.copy", folder);
    return static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize;
}

Result<void> write_all(int fd, const char* bytes, std::size_t size, const std::string& path) {
    while (size > 0) {
        const ssize_t written = ::write(fd, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno_error("image.copy", "cannot write " + path);
        bytes += written;
        size -= static_cast<std::size_t>(written);
    }
    return {};
}

Result<void> copy_all(int from, int to, const std::string& path, std::uint64_t total,
                      const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    std::string buffer(chunk_bytes, '\0');
    std::uint64_t done = 0;
    for (;;) {
        const ssize_t got = ::read(from, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error("image.copy", "cannot read the image");
        if (got == 0) break;
        QVD_CHECK(write_all(to, buffer.data(), static_cast<std::size_t>(got), path));
        done += static_cast<std::uint64_t>(got);
        if (progress) progress(done, total);
    }
    if (::fsync(to) != 0) return errno_error("image.copy", "cannot write " + path);
    return {};
}

}  // namespace

Result<std::string> copy_image(const std::string& source, const std::string& folder,
                               const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
    const UniqueFd from{::open(source.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    if (!from || ::fstat(from.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return Error{ErrorKind::not_found, "image.missing", "there is no image file " + source};
    QVD_CHECK(file::make_folders(folder));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    QVD_TRY(const std::uint64_t space, free_bytes(folder));
    if (space < size)
        return Error{ErrorKind::unavailable, "image.no_space",
                     folder + " has room for " + std::to_string(space >> 20U) +
                         " MiB, the image has " + std::to_string(size >> 20U) + " MiB"};
    std::string temporary = folder + "/.incoming-XXXXXX";
    const UniqueFd to{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (!to) return errno_error("image.copy", "cannot create a file in " + folder);
    Result<void> copied = copy_all(from.get(), to.get(), temporary, size, progress);
    if (copied.ok() && ::fchmod(to.get(), 0640) != 0) copied = errno_error("image.copy", temporary);
    if (!copied.ok()) {
        ::unlink(temporary.c_str());
        return copied.error();
    }
    return temporary;
}

}  // namespace qvd::admin
