#include "overlay_store.hpp"

#include "backend/mounts.hpp"
#include "common/fields.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace qvd::lxc {

namespace {

constexpr std::string_view overlay_ending = "-overlayfs";

bool ends_with(const std::string& text, std::string_view ending) {
    return text.size() >= ending.size() &&
           text.compare(text.size() - ending.size(), ending.size(), ending) == 0;
}

// Mount options have no way to say these.
void check_name(const std::string& path) {
    if (path.find_first_of(",:\\") != std::string::npos)
        throw sdk::Failure(QVD_INVALID, path +
                                            ": a folder that is mounted must not have \",\", "
                                            "\":\" or \"\\\" in its name");
}

[[noreturn]] void fail(const std::string& what) {
    throw sdk::Failure(QVD_UNAVAILABLE, "cannot " + what + ": " + std::strerror(errno));
}

}  // namespace

OverlayStore::OverlayStore(const Settings& settings, Sweeper& sweeper)
    : settings_(settings), sweeper_(sweeper) {
    struct stat found {};
    if (::stat(settings_.overlayfs.c_str(), &found) != 0) return;  // collect() makes and tries it
    const std::string obstacle = union_obstacle(settings_.overlayfs);
    if (!obstacle.empty())
        throw sdk::Failure(QVD_INVALID, "path.storage.overlayfs " + settings_.overlayfs +
                                            " cannot hold what VMs change: " + obstacle +
                                            "; choose a folder on a local ext4, xfs or btrfs");
}

std::string OverlayStore::work_of(std::uint64_t vm_id) const {
    return settings_.overlayfs + "/" + std::to_string(vm_id) + "-overlayfs-work";
}

std::vector<std::string> OverlayStore::overlays_of(std::uint64_t vm_id) const {
    std::vector<std::string> found;
    const std::string ending = "-" + std::to_string(vm_id) + std::string(overlay_ending);
    for (const std::string& name : names_in(settings_.overlayfs)) {
        if (!ends_with(name, ending)) continue;
        if (parse_number(std::string_view(name).substr(0, name.size() - ending.size())))
            found.push_back(settings_.overlayfs + "/" + name);
    }
    return found;
}

std::string OverlayStore::prepare_upper(const sdk::Vm& vm, const sdk::Disk& disk) {
    std::string upper(disk.overlay_path());
    if (upper.empty())
        upper = settings_.overlayfs + "/" + std::to_string(disk.di_id()) + "-" +
                std::to_string(vm.id()) + std::string(overlay_ending);
    const bool keep = disk.persistent() && !disk.read_only();
    if (!keep) {
        // Afresh: also what an older image of this VM may have left.
        for (const std::string& old : overlays_of(vm.id()))
            if (!sweeper_.discard(old)) fail("discard " + old);
        if (!sweeper_.discard(upper)) fail("discard " + upper);
    }
    make_folders(upper, 0755);
    return upper;
}

std::string OverlayStore::mount(const sdk::Vm& vm) {
    const auto disk = disk_of(vm, QVD_DISK_OS);
    if (!disk || disk->unpacked_path().empty())
        throw sdk::Failure(QVD_INVALID, "the VM has no unpacked image to start from");
    const UnpackedImage image = Images::find(std::string(disk->unpacked_path()));
    make_folders(settings_.overlayfs, 0755);
    const Union layers{image.root, prepare_upper(vm, *disk), work_of(vm.id())};
    make_folders(layers.work, 0700);
    std::string at = settings_.mount_point_of(vm.id());
    make_folders(at, 0755);
    for (const std::string& path : {layers.lower, layers.upper, layers.work, at}) check_name(path);
    if (!mount_overlay(layers, at)) fail("mount the VM's files at " + at);
    return at;
}

bool OverlayStore::unmount(std::uint64_t vm_id) {
    const std::string at = settings_.mount_point_of(vm_id);
    if (!unmount_all(at)) return false;
    ::rmdir(at.c_str());
    return true;
}

std::vector<std::uint64_t> OverlayStore::mounted() {
    std::vector<std::uint64_t> vms;
    for (const std::string& name : names_in(settings_.rootfs)) {
        constexpr std::string_view ending = "-fs";
        if (!ends_with(name, ending)) continue;
        const auto number =
            parse_number(std::string_view(name).substr(0, name.size() - ending.size()));
        if (number && *number > 0) vms.push_back(static_cast<std::uint64_t>(*number));
    }
    return vms;
}

void OverlayStore::remove_overlays(std::uint64_t vm_id) {
    for (const std::string& path : overlays_of(vm_id))
        if (!sweeper_.discard(path)) fail("remove " + path);
    if (!sweeper_.discard(work_of(vm_id))) fail("remove " + work_of(vm_id));
}

void OverlayStore::collect() {
    make_folders(settings_.overlayfs, 0755);
    const std::string obstacle = union_obstacle(settings_.overlayfs);
    if (!obstacle.empty())
        throw sdk::Failure(QVD_INVALID, "path.storage.overlayfs " + settings_.overlayfs +
                                            " cannot hold what VMs change: " + obstacle);
    for (const std::string& folder : {settings_.overlayfs, settings_.homefs})
        for (const std::string& name : names_in(folder))
            if (name.compare(0, 9, "deleteme-") == 0) sweeper_.sweep(folder + "/" + name);
    for (const std::string& name : names_in(settings_.overlayfs))
        if (name.compare(0, 7, ".probe-") == 0) remove_tree(settings_.overlayfs + "/" + name);
}

}  // namespace qvd::lxc
