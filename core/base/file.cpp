#include "base/file.hpp"

#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace qvd::file {

namespace {

Result<std::string> read_all(int fd, const std::string& path, std::size_t limit) {
    std::string content;
    std::array<char, 16384> buffer{};
    for (;;) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return errno_error("file.read", "cannot read " + path);
        if (got == 0) return content;
        content.append(buffer.data(), static_cast<std::size_t>(got));
        if (content.size() > limit)
            return Error{ErrorKind::invalid, "file.too_long",
                         path + " is longer than " + std::to_string(limit) + " bytes"};
    }
}

}  // namespace

Result<std::string> read(const std::string& path, std::size_t limit) {
    const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)};
    if (!fd) return errno_error("file.open", "cannot open " + path);
    return read_all(fd.get(), path, limit);
}

Result<std::string> read_regular(const std::string& path, std::size_t limit) {
    constexpr int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW;
    const UniqueFd fd{::open(path.c_str(), flags)};
    if (!fd) return errno_error("file.open", "cannot open " + path);
    struct stat about {};
    if (::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode))
        return Error{ErrorKind::invalid, "file.not_regular", path + " is no file"};
    return read_all(fd.get(), path, limit);
}

namespace {

Result<void> write_all(int fd, std::string_view content, const std::string& path) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno_error("file.write", "cannot write " + path);
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

}  // namespace

Result<void> write_atomic(const std::string& path, std::string_view content, mode_t mode) {
    std::string temporary = path + ".XXXXXX";
    const UniqueFd fd{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (!fd) return errno_error("file.create", "cannot create a file beside " + path);
    Result<void> done = write_all(fd.get(), content, temporary);
    if (done.ok() && (::fchmod(fd.get(), mode) != 0 || ::fsync(fd.get()) != 0 ||
                      std::rename(temporary.c_str(), path.c_str()) != 0))
        done = errno_error("file.write", "cannot write " + path);
    if (!done.ok()) ::unlink(temporary.c_str());
    return done;
}

Result<void> make_folders(const std::string& path, mode_t mode) {
    for (std::size_t at = path.find('/', 1);; at = path.find('/', at + 1)) {
        const std::string folder = path.substr(0, at);
        if (!folder.empty() && ::mkdir(folder.c_str(), mode) != 0 && errno != EEXIST)
            return errno_error("file.mkdir", "cannot make the folder " + folder);
        if (at == std::string::npos) return {};
    }
}

}  // namespace qvd::file
