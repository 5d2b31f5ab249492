#include "btrfs_store.hpp"

#include "backend/mounts.hpp"
#include "backend/order.hpp"
#include "common/fields.hpp"
#include "quota.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

constexpr const char* quota_key = "vm.lxc.btrfs.quota";

std::string how_to_make_one(const std::string& folder) {
    return "; make one with `mkfs.btrfs DEVICE` and `mount DEVICE " + folder +
           "`, or in a file: `truncate -s 20G FILE`, `mkfs.btrfs FILE`, `mount -o loop FILE " +
           folder + "`, and name both in /etc/fstab";
}

// The configured folder, if it can hold subvolumes.
std::string checked_top(const sdk::Core& core) {
    std::string folder(core.config("path.storage.btrfs.root"));
    while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
    struct stat found {};
    if (folder.empty() || folder.front() != '/')
        throw sdk::Failure(
            QVD_INVALID,
            "path.storage.btrfs.root must be an absolute path, it is \"" + folder + "\"");
    if (::stat(folder.c_str(), &found) != 0)
        throw sdk::Failure(QVD_INVALID, "path.storage.btrfs.root " + folder +
                                            " does not exist; it must be on a btrfs" +
                                            how_to_make_one(folder));
    if (!Subvolumes::is_btrfs(folder)) {
        const std::string type = file_system_of(folder);
        throw sdk::Failure(QVD_INVALID, "path.storage.btrfs.root " + folder +
                                            " must be on a btrfs, and it is on " +
                                            (type.empty() ? "something else" : type) +
                                            (kernel_has("btrfs") ? how_to_make_one(folder)
                                                                 : "; this kernel has no btrfs "
                                                                   "(modprobe btrfs)"));
    }
    return folder + "/btrfs";
}

// Another VM of the same user may be making the very same.
void make_home_tree(const std::string& path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) == 0) return;
    try {
        Subvolumes{}.make(path);
    } catch (const sdk::Failure&) {
        if (::stat(path.c_str(), &found) != 0) throw;
    }
    ::chmod(path.c_str(), 0755);
}

}  // namespace

BtrfsStore::BtrfsStore(const sdk::Core& core, const Settings& settings, const Trees& trees,
                       Sweeper& sweeper)
    : RootStore(settings),
      core_(core),
      top_(checked_top(core)),
      images_(top_ + "/images", settings, core, trees, sweeper),
      changes_(top_ + "/vms", {"btrfs"}, sweeper) {
}

void BtrfsStore::collect() {
    for (const std::string& folder : {top_, top_ + "/images", changes_.folder()})
        make_closed_folder(folder);
    changes_.collect();
}

std::uint64_t BtrfsStore::quota_of(const sdk::Vm& vm) const {
    constexpr std::int64_t most = 1'000'000'000;
    const std::string_view own = vm.properties().get(quota_key);
    const std::string text(own.empty() ? core_.config(quota_key) : own);
    const auto mib = parse_number(text);
    if (!mib || *mib < 0 || *mib > most)
        throw sdk::Failure(QVD_INVALID, std::string(quota_key) + " of this VM or its OSF is \"" +
                                            text + "\", which is no number of MiB");
    return static_cast<std::uint64_t>(*mib) << 20U;
}

std::string BtrfsStore::make_home(const std::string& path, std::uint64_t bytes) {
    const std::string folder = path.substr(0, path.rfind('/'));
    make_folders(folder, 0700);
    if (!Subvolumes::is_btrfs(folder)) {
        make_folders(path, 0755);
        return bytes == 0 ? std::string() : "path.storage.homefs " + folder + " is on no btrfs";
    }
    make_home_tree(path);
    if (!Subvolumes::is_subvolume(path))
        return bytes == 0 ? std::string()
                          : path + " is a plain folder; only a home that lxc-btrfs made is limited";
    try {
        limit_own_bytes(path, bytes);
    } catch (const sdk::Failure& failure) {
        return failure.what();
    }
    return {};
}

Root BtrfsStore::mount(const sdk::Vm& vm, const UnpackedImage& image, const UserMapPtr& map) {
    const sdk::Disk disk = *disk_of(vm, QVD_DISK_OS);
    const std::uint64_t quota = quota_of(vm);
    if (!Subvolumes::is_subvolume(image.path))
        throw sdk::Failure(QVD_INVALID, image.path +
                                            " is no subvolume: it was not unpacked by lxc-btrfs; "
                                            "remove it, and it is unpacked anew");
    const std::string own = changes_.path_of(vm, disk, "btrfs");
    make_folders(own.substr(0, own.rfind('/')), 0700);
    changes_.begin(vm, disk, own);
    if (!Subvolumes::is_subvolume(own)) Subvolumes::snapshot(image.path, own);
    limit_own_bytes(own, quota);
    const std::string at = make_mount_point(vm.id(), map);
    // An image of the extended layout has the VM's files one below.
    const std::string files = own + image.root.substr(image.path.size());
    if (!(map ? mount_mapped(files, at, false, *map) : mount_bind(files, at, false)))
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot mount the VM's files " + files + " at " + at +
                                                ": " + std::strerror(errno));
    Root root;
    root.path = at;
    root.map = map;
    return root;
}

// Of several, for several images, only one is in use; all of them are the VM's.
std::uint64_t BtrfsStore::changed_bytes(std::uint64_t vm_id) {
    std::uint64_t all = 0;
    for (const std::string& path : changes_.of(vm_id)) all += own_bytes(path).value_or(0);
    return all;
}

}  // namespace qvd::lxc
