#include "kernel_unions.hpp"

#include "backend/mounts.hpp"

#include <qvd/plugin.hpp>

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

namespace qvd::lxc {

namespace {

[[noreturn]] void fail(const std::string& at) {
    throw sdk::Failure(QVD_UNAVAILABLE,
                       "cannot mount the VM's files at " + at + ": " + std::strerror(errno));
}

}  // namespace

std::string Overlayfs::obstacle(const std::string& folder) const {
    if (!kernel_has("overlay")) return "the kernel has no overlayfs (modprobe overlay)";
    struct stat found {};
    if (::stat(folder.c_str(), &found) != 0) return {};
    const std::string why = union_obstacle(folder);
    if (why.empty()) return {};
    return "path.storage.overlayfs " + folder + " cannot hold what VMs change: " + why +
           "; choose a folder on a local ext4, xfs or btrfs";
}

std::string Overlayfs::mapping_obstacle_in(const std::string& folder, const UserMap& map) const {
    if (maps_) return {};
    std::string obstacle = mapped_union_obstacle(folder, map);
    maps_ = obstacle.empty();
    return obstacle;
}

void Overlayfs::mount(const Layers& layers, const std::string& /*container*/) {
    const OverlayLayers plain{layers.image, layers.changes, layers.work};
    const bool mounted = layers.map
                             ? mount_mapped_overlay(plain, layers.halfway, layers.at, *layers.map)
                             : mount_overlay(plain, layers.at);
    if (!mounted) fail(layers.at);
}

void Bind::mount(const Layers& layers, const std::string& /*container*/) {
    const bool mounted = layers.map
                             ? mount_mapped(layers.image, layers.at, layers.read_only, *layers.map)
                             : mount_bind(layers.image, layers.at, layers.read_only);
    if (!mounted) fail(layers.at);
}

}  // namespace qvd::lxc
