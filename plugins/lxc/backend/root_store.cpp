#include "backend/root_store.hpp"

#include "backend/folders.hpp"
#include "backend/mounts.hpp"
#include "common/fields.hpp"

#include <unistd.h>

#include <string_view>

namespace qvd::lxc {

bool RootStore::unmount(std::uint64_t vm_id) {
    const std::string place = settings_.place_of(vm_id);
    if (!unmount_all(place)) return false;
    ::rmdir(settings_.mount_point_of(vm_id).c_str());
    ::rmdir(place.c_str());
    return true;
}

std::string RootStore::make_mount_point(std::uint64_t vm_id, const UserMapPtr& map) const {
    make_closed_folder(settings_.place_of(vm_id), map ? map->first : 0);
    std::string at = settings_.mount_point_of(vm_id);
    make_folders(at, 0755);
    return at;
}

std::string RootStore::make_home(const std::string& path, std::uint64_t bytes) {
    make_folders(path, 0755);
    return bytes == 0 ? std::string()
                      : "here homes are plain folders (kvm keeps to it, and lxc-btrfs does where "
                        "path.storage.homefs is on a btrfs)";
}

std::vector<std::uint64_t> RootStore::mounted() {
    constexpr std::string_view ending = "-fs";
    std::vector<std::uint64_t> vms;
    for (const std::string& name : names_in(settings_.rootfs)) {
        if (!ends_with(name, ending)) continue;
        const auto number =
            parse_number(std::string_view(name).substr(0, name.size() - ending.size()));
        if (number && *number > 0) vms.push_back(static_cast<std::uint64_t>(*number));
    }
    return vms;
}

}  // namespace qvd::lxc
