// Whether containers of this node can have ids of their own (vm.lxc.unprivileged).
#include "admin/doctor/checks.hpp"
#include "base/unique_fd.hpp"
#include "config/keys.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <system_error>

namespace qvd::admin::doctor {

namespace fs = std::filesystem;

namespace {

constexpr const char* setting = "vm.lxc.unprivileged";
// Of ids that nobody has, as many as a container gets at least.
constexpr std::string_view id_map = "0 1879048192 65536";

// A process in a user namespace of its own, until this goes.
class Elsewhere {
public:
    Elsewhere() {
        std::array<int, 2> ends{-1, -1};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
        const UniqueFd hears(ends[0]);
        UniqueFd tells(ends[1]);
        pid_ = ::fork();
        if (pid_ == 0) sit(tells.get());
        tells.reset();
        char said = 0;
        there_ = pid_ > 0 && ::read(hears.get(), &said, 1) == 1;
    }
    ~Elsewhere() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    Elsewhere(const Elsewhere&) = delete;
    Elsewhere& operator=(const Elsewhere&) = delete;

    [[nodiscard]] bool is_there() const { return there_; }
    [[nodiscard]] bool map_ids() const { return write("uid_map") && write("gid_map"); }
    [[nodiscard]] UniqueFd name_space() const {
        return UniqueFd(::open(file("ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    }

private:
    [[noreturn]] static void sit(int tells) {
        if (::unshare(CLONE_NEWUSER) != 0 || ::write(tells, "!", 1) != 1) ::_exit(1);
        for (;;) ::pause();
    }
    [[nodiscard]] std::string file(const std::string& name) const {
        return "/proc/" + std::to_string(pid_) + "/" + name;
    }
    [[nodiscard]] bool write(const std::string& name) const {
        const UniqueFd map(::open(file(name).c_str(), O_WRONLY | O_CLOEXEC));
        return map && ::write(map.get(), id_map.data(), id_map.size()) ==
                          static_cast<ssize_t>(id_map.size());
    }

    pid_t pid_ = -1;
    bool there_ = false;
};

// The mount is nowhere to be seen, and goes with its descriptor.
bool can_be_mapped(const std::string& folder, const UniqueFd& user_namespace) {
    const UniqueFd tree(
        static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, folder.c_str(),
                                   static_cast<unsigned>(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))));
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<std::uint64_t>(user_namespace.get());
    return tree && ::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes,
                             sizeof attributes) == 0;
}

// Where containers' files will be, as far as it is there by now.
std::string storage_of(const config::View& view, const InUse& use) {
    fs::path folder = use.hypervisors.contains("lxc-unionfs")
                          ? view.get(config::path_storage_root)
                          : view.get(config::path_storage_btrfs_root);
    std::error_code ignored;
    while (folder.has_relative_path() && !fs::exists(folder, ignored))
        folder = folder.parent_path();
    return folder.string();
}

// Empty: nothing is in the way.
std::string obstacle(const std::string& folder) {
    const Elsewhere elsewhere;
    if (!elsewhere.is_there()) return "this kernel lets nobody make a user namespace";
    if (!elsewhere.map_ids()) return "the ids of a user namespace cannot be mapped";
    if (can_be_mapped(folder, elsewhere.name_space())) return {};
    const std::string why = std::generic_category().message(errno);
    return "the owners of files in " + folder + " cannot be mapped (" + why +
           "): its file system cannot do that, or the kernel is older than 5.12";
}

}  // namespace

Diagnosis check_unprivileged(const config::View& view, const InUse& use) {
    constexpr const char* name = "containers.unprivileged";
    const std::string wanted = plugin_text(view, setting, "auto");
    if (wanted == "0")
        return good(name, "root of a container is root of the node, as " + std::string(setting) +
                              " = 0 says");
    if (::geteuid() != 0) return needs_root(name, "whether containers can have ids of their own");
    const std::string why = obstacle(storage_of(view, use));
    if (why.empty())
        return good(name, "containers have ids of their own: their root is nobody on the node");
    constexpr const char* advice =
        "allow user namespaces (sysctl user.max_user_namespaces), and have path.storage.root on "
        "ext4, xfs or btrfs with a kernel from 5.12 on; or set vm.lxc.unprivileged = 0";
    if (wanted == "1")
        return problem(name, "containers cannot start, as vm.lxc.unprivileged = 1 and " + why,
                       advice);
    return warning(name, "root of a container is root of the node: " + why, advice);
}

}  // namespace qvd::admin::doctor
