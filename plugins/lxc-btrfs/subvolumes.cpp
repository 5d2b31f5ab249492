#include "subvolumes.hpp"

#include "backend/folders.hpp"
#include "quota.hpp"

#include <qvd/plugin.hpp>

#include <btrfsutil.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

// "cannot make ...: Could not create subvolume: No space left on device"
[[noreturn]] void fail(const std::string& what, btrfs_util_error error) {
    const std::string why = std::strerror(errno);
    const char* const step = ::btrfs_util_strerror(error);
    throw sdk::Failure(
        QVD_UNAVAILABLE,
        "cannot " + what + ": " + (step == nullptr ? "" : std::string(step) + ": ") + why);
}

}  // namespace

void Subvolumes::make(const std::string& path) const {
    const auto error = ::btrfs_util_create_subvolume(path.c_str(), 0, nullptr, nullptr);
    if (error != BTRFS_UTIL_OK) fail("make the subvolume " + path, error);
}

bool Subvolumes::seal(const std::string& path) const {
    return ::btrfs_util_set_subvolume_read_only(path.c_str(), true) == BTRFS_UTIL_OK;
}

bool Subvolumes::remove(const std::string& path, const std::atomic<bool>* stop) const {
    if (!is_subvolume(path)) return remove_tree(path, stop);
    const std::uint64_t id = subvolume_id(path);
    // A sealed one cannot lose those that are in it.
    static_cast<void>(::btrfs_util_set_subvolume_read_only(path.c_str(), false));
    if (::btrfs_util_delete_subvolume(path.c_str(), BTRFS_UTIL_DELETE_SUBVOLUME_RECURSIVE) !=
        BTRFS_UTIL_OK)
        return errno == ENOENT;
    forget_quota(path.substr(0, path.rfind('/')), id);
    return true;
}

void Subvolumes::snapshot(const std::string& source, const std::string& path) {
    const auto error =
        ::btrfs_util_create_snapshot(source.c_str(), path.c_str(), 0, nullptr, nullptr);
    if (error != BTRFS_UTIL_OK) fail("make the snapshot " + path + " of " + source, error);
}

bool Subvolumes::is_subvolume(const std::string& path) {
    return ::btrfs_util_is_subvolume(path.c_str()) == BTRFS_UTIL_OK;
}

bool Subvolumes::is_btrfs(const std::string& folder) {
    struct statfs found {};
    return ::statfs(folder.c_str(), &found) == 0 && found.f_type == BTRFS_SUPER_MAGIC;
}

}  // namespace qvd::lxc
