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

void Overlayfs::mount(const Layers& layers, const std::string& /*container*/) {
    if (!mount_overlay({layers.image, layers.changes, layers.work}, layers.at)) fail(layers.at);
}

void Bind::mount(const Layers& layers, const std::string& /*container*/) {
    if (!mount_bind(layers.image, layers.at, read_only_)) fail(layers.at);
}

}  // namespace qvd::lxc
