#include "backend/root_tree.hpp"

#include "common/files.hpp"

#include <qvd/plugin.hpp>

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

constexpr std::uint64_t links_inside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
constexpr std::uint64_t no_links = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;

UniqueFd open_inside(int root, const std::string& path, int flags, std::uint64_t resolve) {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
    how.resolve = resolve;
    return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

[[noreturn]] void fail(const std::string& what) {
    throw sdk::Failure(QVD_UNAVAILABLE, "cannot " + what + ": " + std::strerror(errno));
}

}  // namespace

RootTree::RootTree(const std::string& path)
    : path_(path), root_(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)) {
    if (!root_) fail("open " + path);
}

std::string RootTree::resolve(const std::string& path) const {
    const UniqueFd found = open_inside(root_.get(), path, O_PATH, links_inside);
    return found ? read_link("/proc/self/fd/" + std::to_string(found.get())) : std::string();
}

bool RootTree::is_file(const std::string& path) const {
    const UniqueFd found = open_inside(root_.get(), path, O_PATH | O_NOFOLLOW, no_links);
    struct stat what {};
    return found && ::fstat(found.get(), &what) == 0 && S_ISREG(what.st_mode);
}

bool RootTree::is_empty(const std::string& path) const {
    const UniqueFd found = open_inside(root_.get(), path, O_PATH, links_inside);
    struct stat what {};
    return found && ::fstat(found.get(), &what) == 0 && what.st_size == 0;
}

bool RootTree::begins_with(const std::string& path, std::string_view text) const {
    const UniqueFd file =
        open_inside(root_.get(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY, links_inside);
    if (!file) return false;
    return read_all(file.get(), text.size()).value_or(std::string()).substr(0, text.size()) == text;
}

// NOLINTNEXTLINE(misc-no-recursion): each time on a shorter path, one of our own
UniqueFd RootTree::directory_at(const std::string& directory) const {
    UniqueFd found = open_inside(root_.get(), directory, O_PATH | O_DIRECTORY, no_links);
    if (found) return found;
    const std::size_t slash = directory.rfind('/');
    const UniqueFd parent = slash == std::string::npos
                                ? open_inside(root_.get(), ".", O_PATH | O_DIRECTORY, no_links)
                                : directory_at(directory.substr(0, slash));
    const std::string name = directory.substr(slash == std::string::npos ? 0 : slash + 1);
    ::unlinkat(parent.get(), name.c_str(), 0);
    if (::mkdirat(parent.get(), name.c_str(), 0755) != 0) fail("make " + path_ + "/" + directory);
    return open_inside(parent.get(), name, O_PATH | O_DIRECTORY, no_links);
}

void RootTree::write(const std::string& directory, const std::string& name,
                     std::string_view content, unsigned mode) const {
    const UniqueFd parent = directory_at(directory);
    const std::string path = path_ + "/" + directory + "/" + name;
    if (::unlinkat(parent.get(), name.c_str(), 0) != 0 && errno != ENOENT) fail("replace " + path);
    const UniqueFd file(::openat(parent.get(), name.c_str(),
                                 O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file ||
        ::write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
        fail("write " + path);
    ::fchmod(file.get(), mode);
}

}  // namespace qvd::lxc
