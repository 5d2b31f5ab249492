#include "backend/mounts.hpp"

#include "backend/folders.hpp"
#include "common/files.hpp"
#include "common/unique_fd.hpp"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <sstream>

namespace qvd::lxc {

namespace {

std::vector<Mounted> all_mounts() {
    std::vector<Mounted> mounts;
    std::istringstream lines(read_file("/proc/self/mountinfo").value_or(std::string()));
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string skipped;
        Mounted mount;
        words >> skipped >> skipped >> skipped >> skipped >> mount.path;
        while (words >> skipped && skipped != "-") {
        }
        words >> mount.type >> skipped >> mount.options;
        mounts.push_back(mount);
    }
    return mounts;
}

bool is_below(const std::string& path, const std::string& top) {
    return path.compare(0, top.size(), top) == 0 &&
           (path.size() == top.size() || path[top.size()] == '/');
}

}  // namespace

std::vector<Mounted> mounts_below(const std::string& path) {
    std::vector<Mounted> below;
    for (const Mounted& mount : all_mounts())
        if (is_below(mount.path, path)) below.push_back(mount);
    return below;
}

bool in_use_by_union(const std::string& directory) {
    for (const Mounted& mount : all_mounts()) {
        if (mount.type != "overlay") continue;
        std::istringstream options(mount.options);
        for (std::string option; std::getline(options, option, ',');) {
            const std::size_t equals = option.find('=');
            if (equals != std::string::npos && is_below(option.substr(equals + 1), directory))
                return true;
        }
    }
    return false;
}

bool mount_overlay(const OverlayLayers& layers, const std::string& at) {
    const std::string options = "lowerdir=" + layers.lower + ",upperdir=" + layers.upper +
                                ",workdir=" + layers.work +
                                ",redirect_dir=nofollow,metacopy=off,index=off";
    return ::mount("qvd", at.c_str(), "overlay", MS_NODEV, options.c_str()) == 0;
}

bool mount_bind(const std::string& source, const std::string& at, bool read_only) {
    if (::mount(source.c_str(), at.c_str(), nullptr, MS_BIND, nullptr) != 0) return false;
    const unsigned long flags =
        MS_REMOUNT | MS_BIND | MS_NODEV | (read_only ? unsigned{MS_RDONLY} : 0U);
    if (::mount(nullptr, at.c_str(), nullptr, flags, nullptr) == 0) return true;
    const int why = errno;
    ::umount2(at.c_str(), UMOUNT_NOFOLLOW);
    errno = why;
    return false;
}

namespace {

bool is_listed(const std::string& file_system) {
    std::istringstream words(read_file("/proc/filesystems").value_or(std::string()));
    for (std::string word; words >> word;)
        if (word == file_system) return true;
    return false;
}

}  // namespace

bool kernel_has(const std::string& file_system) {
    if (is_listed(file_system)) return true;
    // A module of the kernel is loaded, and listed, when somebody first asks for it.
    const UniqueFd asked(::fsopen(file_system.c_str(), FSOPEN_CLOEXEC));
    return asked || is_listed(file_system);
}

std::string file_system_of(const std::string& path) {
    std::string type;
    std::size_t longest = 0;
    for (const Mounted& mount : all_mounts()) {
        const std::string top = mount.path == "/" ? "" : mount.path;
        if (!is_below(path, top) || top.size() < longest) continue;
        longest = top.size();
        type = mount.type;
    }
    return type;
}

bool unmount_all(const std::string& path) {
    for (std::vector<Mounted> left = mounts_below(path); !left.empty(); left = mounts_below(path))
        if (::umount2(left.back().path.c_str(), UMOUNT_NOFOLLOW) != 0 && errno != EINVAL)
            return false;
    return true;
}

namespace {

// Overlayfs goes on as who mounts it: only an id of the map can own files above a mapped mount.
bool mount_as_its_root(const OverlayLayers& layers, const std::string& at, const UserMap& map) {
    const ActingAs its_root(&map);
    if (!ActingAs::raise_rights() || !mount_overlay(layers, at)) return false;
    struct statvfs found {};
    if (::statvfs(at.c_str(), &found) == 0 && (found.f_flag & ST_RDONLY) == 0) return true;
    // What it does if it cannot write.
    ::umount2(at.c_str(), UMOUNT_NOFOLLOW);
    errno = EROFS;
    return false;
}

}  // namespace

bool mount_mapped_overlay(const OverlayLayers& layers, const std::string& halfway,
                          const std::string& at, const UserMap& map) {
    const std::string lower = halfway + "/lower";
    const std::string upper = halfway + "/upper";
    for (const std::string& folder : {halfway, lower, upper}) ::mkdir(folder.c_str(), 0700);
    const std::size_t slash = layers.upper.rfind('/');
    // They are needed no longer than the mount takes: overlayfs holds on to what it was given.
    const bool mounted = mount_mapped(layers.lower, lower, true, map) &&
                         mount_mapped(layers.upper.substr(0, slash), upper, false, map) &&
                         mount_as_its_root({lower, upper + layers.upper.substr(slash),
                                            upper + layers.work.substr(layers.work.rfind('/'))},
                                           at, map);
    const int why = errno;
    unmount_all(halfway);
    remove_tree(halfway);
    errno = why;
    return mounted;
}

namespace {

// `mount` tries to put the layers together at the place.
template <class Mount>
std::string obstacle_in(const std::string& directory, const Mount& mount) {
    // One for each call: VMs start at the same time.
    static std::atomic<unsigned> count{0};
    const std::string probe =
        directory + "/.probe-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
    const OverlayLayers layers{probe + "/lower", probe + "/upper", probe + "/work"};
    const std::string at = probe + "/union";
    remove_tree(probe);
    for (const std::string& made : {probe, layers.lower, layers.upper, layers.work, at})
        if (::mkdir(made.c_str(), 0700) != 0)
            return "cannot make " + made + ": " + std::strerror(errno);
    std::string obstacle;
    if (mount(layers, probe + "/halfway", at))
        unmount_all(at);
    else
        obstacle = std::strerror(errno);
    remove_tree(probe);
    return obstacle;
}

}  // namespace

std::string union_obstacle(const std::string& directory) {
    std::string obstacle =
        obstacle_in(directory, [](const OverlayLayers& layers, const std::string&,
                                  const std::string& at) { return mount_overlay(layers, at); });
    if (obstacle.empty()) return {};
    struct statfs found {};
    constexpr long nfs = 0x6969;
    constexpr long overlay = 0x794c7630;
    if (::statfs(directory.c_str(), &found) != 0) return obstacle;
    if (found.f_type == overlay) return "it is on an overlayfs itself";
    return found.f_type == nfs ? "it is on NFS" : obstacle;
}

std::string mapped_union_obstacle(const std::string& directory, const UserMap& map) {
    const std::string obstacle = obstacle_in(
        directory,
        [&map](const OverlayLayers& layers, const std::string& halfway, const std::string& at) {
            return mount_mapped_overlay(layers, halfway, at, map);
        });
    return obstacle.empty() ? obstacle
                            : "overlayfs in " + directory +
                                  " cannot be owned by other ids (kernel 5.19 can): " + obstacle;
}

}  // namespace qvd::lxc
