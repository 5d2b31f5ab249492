#include "quota.hpp"

#include "common/unique_fd.hpp"

#include <qvd/plugin.hpp>

#include <btrfsutil.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

UniqueFd open_folder(const std::string& path) {
    return UniqueFd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
}

template <class Argument>
bool ask(int folder, unsigned long what, Argument& argument) {
    return ::ioctl(folder, what, &argument) == 0;
}

bool set_limit(int subvolume, std::uint64_t bytes) {
    btrfs_ioctl_qgroup_limit_args limit{};  // qgroupid 0: the subvolume's own
    limit.lim.flags = BTRFS_QGROUP_LIMIT_MAX_EXCL;
    limit.lim.max_excl = bytes == 0 ? ~std::uint64_t{0} : bytes;  // ~0: no limit
    return ask(subvolume, BTRFS_IOC_QGROUP_LIMIT, limit);
}

bool begin_to_count(int folder) {
    btrfs_ioctl_quota_ctl_args control{};
    control.cmd = BTRFS_QUOTA_CTL_ENABLE;
    return ask(folder, BTRFS_IOC_QUOTA_CTL, control) || errno == EEXIST;
}

}  // namespace

std::uint64_t subvolume_id(const std::string& path) {
    std::uint64_t id = 0;
    return ::btrfs_util_subvolume_id(path.c_str(), &id) == BTRFS_UTIL_OK ? id : 0;
}

void limit_own_bytes(const std::string& subvolume, std::uint64_t bytes) {
    const UniqueFd folder = open_folder(subvolume);
    if (folder && set_limit(folder.get(), bytes)) return;
    const bool nobody_counts = errno == ENOTCONN || errno == EINVAL || errno == ENOENT;
    if (bytes == 0 && nobody_counts) return;
    if (folder && nobody_counts && begin_to_count(folder.get()) && set_limit(folder.get(), bytes))
        return;
    throw sdk::Failure(QVD_UNAVAILABLE, "cannot limit what may change in " + subvolume + ": " +
                                            std::strerror(errno) +
                                            " (try `btrfs quota enable` on it)");
}

std::optional<std::uint64_t> own_bytes(const std::string& subvolume) {
    const UniqueFd folder = open_folder(subvolume);
    const std::uint64_t id = subvolume_id(subvolume);
    if (!folder || id == 0) return std::nullopt;
    btrfs_ioctl_search_args search{};
    search.key.tree_id = BTRFS_QUOTA_TREE_OBJECTID;
    search.key.min_type = search.key.max_type = BTRFS_QGROUP_INFO_KEY;
    search.key.min_offset = search.key.max_offset = id;
    search.key.max_transid = ~std::uint64_t{0};
    search.key.nr_items = 1;
    if (!ask(folder.get(), BTRFS_IOC_TREE_SEARCH, search) || search.key.nr_items != 1)
        return std::nullopt;
    btrfs_ioctl_search_header header{};
    std::memcpy(&header, search.buf, sizeof header);
    btrfs_qgroup_info_item item{};
    if (header.type != BTRFS_QGROUP_INFO_KEY || header.len < sizeof item) return std::nullopt;
    std::memcpy(&item, search.buf + sizeof header, sizeof item);
    return le64toh(item.excl);
}

void forget_quota(const std::string& folder, std::uint64_t subvolume_id) {
    const UniqueFd any = open_folder(folder);
    if (!any || subvolume_id == 0) return;
    btrfs_ioctl_qgroup_create_args group{};  // create 0: remove
    group.qgroupid = subvolume_id;
    static_cast<void>(ask(any.get(), BTRFS_IOC_QGROUP_CREATE, group));
}

}  // namespace qvd::lxc
