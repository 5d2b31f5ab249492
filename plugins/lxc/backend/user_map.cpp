#include "backend/user_map.hpp"

#include <qvd/plugin.hpp>

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace qvd::lxc {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw sdk::Failure(QVD_UNAVAILABLE, what + ": " + std::strerror(errno));
}

// A process that does nothing, in a user namespace of its own, for as long as this lives.
class Sitter {
public:
    // As fork(), of which the child does nothing but wait to be killed.
    Sitter() : pid_(static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0))) {
        if (pid_ == 0)
            for (;;) ::pause();
        if (pid_ < 0) fail("this kernel lets nobody make a user namespace");
    }
    ~Sitter() {
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    Sitter(const Sitter&) = delete;
    Sitter& operator=(const Sitter&) = delete;

    [[nodiscard]] std::string file(const char* name) const {
        return "/proc/" + std::to_string(pid_) + "/" + name;
    }

private:
    pid_t pid_;
};

void write_map(const std::string& path, const UserMap& map) {
    const std::string line = "0 " + std::to_string(map.first) + " " + std::to_string(map.count);
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file || ::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
        fail("cannot map the ids of a user namespace");
}

// A mount of `path` that hangs nowhere yet. Without errno's word: none.
UniqueFd mapped_tree(const std::string& path, std::uint64_t flags, const UserMap& map) {
    UniqueFd tree(
        static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                                   static_cast<unsigned>(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))));
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP | flags;
    attributes.userns_fd = static_cast<std::uint64_t>(map.user_namespace.get());
    if (tree && ::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes,
                          sizeof attributes) == 0)
        return tree;
    const int why = errno;
    tree.reset();
    errno = why;
    return tree;
}

}  // namespace

UserMapPtr make_user_map(std::uint32_t first, std::uint32_t count) {
    auto map = std::make_shared<UserMap>();
    map->first = first;
    map->count = count;
    const Sitter sitter;
    write_map(sitter.file("uid_map"), *map);
    write_map(sitter.file("gid_map"), *map);
    map->user_namespace = UniqueFd(::open(sitter.file("ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    if (!map->user_namespace) fail("cannot open a user namespace");
    return map;
}

std::string mapping_obstacle(const std::string& path, const UserMap& map) {
    if (mapped_tree(path, 0, map)) return {};
    const int why = errno;
    return "the owners of " + path + " cannot be mapped" +
           (why == EINVAL ? " (its file system cannot do that, or the kernel is older than 5.12)"
                          : std::string(": ") + std::strerror(why));
}

bool mount_mapped(const std::string& source, const std::string& at, bool read_only,
                  const UserMap& map) {
    const std::uint64_t flags =
        MOUNT_ATTR_NODEV | (read_only ? std::uint64_t{MOUNT_ATTR_RDONLY} : 0U);
    const UniqueFd tree = mapped_tree(source, flags, map);
    return tree && ::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, at.c_str(),
                             MOVE_MOUNT_F_EMPTY_PATH) == 0;
}

// Of the thread alone, unlike setuid(); the kernel takes the rights over files away with it.
ActingAs::ActingAs(const UserMap* map) : changed_(map != nullptr) {
    if (!changed_) return;
    ::setfsgid(map->first);
    ::setfsuid(map->first);
}

bool ActingAs::raise_rights() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> rights{};
    if (::syscall(SYS_capget, &header, rights.data()) != 0) return false;
    for (__user_cap_data_struct& half : rights) half.effective = half.permitted;
    return ::syscall(SYS_capset, &header, rights.data()) == 0;
}

ActingAs::~ActingAs() {
    if (!changed_) return;
    ::setfsuid(0);
    ::setfsgid(0);
}

}  // namespace qvd::lxc
