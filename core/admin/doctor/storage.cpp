#include "admin/doctor/checks.hpp"
#include "config/keys.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace qvd::admin::doctor {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t enough_mib = 1024;

Diagnosis check_folder(const std::string& key, const std::string& path) {
    const std::string name = "storage." + key.substr(key.rfind('.') + 1);
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
        return warning(name, path + " (" + key + ") does not exist",
                       "the node makes it at its start: start it, or mkdir -p " + path);
    }
    if (!fs::is_directory(path, ignored))
        return problem(name, path + " (" + key + ") is no folder", "move it out of the way");
    if (::geteuid() != 0) return needs_root(name, "whether " + path + " can be written");
    if (::access(path.c_str(), W_OK | X_OK) != 0)
        return problem(name, path + " cannot be written: " + std::generic_category().message(errno),
                       "mount it for writing");
    struct statvfs space {};
    if (::statvfs(path.c_str(), &space) != 0)
        return problem(name, path + ": " + std::generic_category().message(errno),
                       "look at that file system");
    const std::uint64_t mib = static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize >> 20U;
    const std::string room = path + " has " + std::to_string(mib) + " MiB left";
    if (mib < enough_mib)
        return warning(name, room, "make room: an unpacked image takes some hundred MiB");
    return good(name, room);
}

// Root of a container may be root of the node in its files, and programs that run as their owner
// are among them: nobody else of this machine may get there.
Diagnosis check_closed(const std::string& name, const std::string& path, const char* repair) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0)
        return good(name, path + " cannot be reached, or is not there");
    if (found.st_uid != 0 || (found.st_mode & S_IXOTH) == 0)
        return good(name, path + " is closed to other users of this machine");
    return problem(name,
                   path +
                       " is open to every user of this machine: with a program that a "
                       "container's root left there he may become root",
                   repair + std::string(" ") + path);
}

Diagnoses check_what_containers_made(const config::View& view, const InUse& use) {
    constexpr const char* close = "the node's start closes it, and so does: chmod 700";
    Diagnoses diagnoses;
    for (const auto* const key : {&config::path_storage_basefs, &config::path_storage_homefs,
                                  &config::path_storage_overlayfs})
        diagnoses.push_back(
            check_closed("closed." + std::string(key->name).substr(13), view.get(*key), close));
    if (use.hypervisors.contains("lxc-btrfs"))
        diagnoses.push_back(check_closed(
            "closed.btrfs", view.get(config::path_storage_btrfs_root) + "/btrfs", close));
    // Of containers that an older node started.
    std::error_code ignored;
    for (const auto& one : fs::directory_iterator(view.get(config::path_storage_rootfs), ignored)) {
        Diagnosis root = check_closed("closed.rootfs", one.path().string(),
                                      "stop and start the VM whose files are at");
        if (root.level == Level::problem) diagnoses.push_back(std::move(root));
    }
    return diagnoses;
}

// Empty: an overlay with its changes in `folder` can be mounted. The mount is only this process's.
std::string try_overlay(const std::string& folder) {
    std::string made = folder + "/.doctor-XXXXXX";
    if (::mkdtemp(made.data()) == nullptr) return "no folder can be made in it";
    std::string why;
    for (const char* const part : {"/lower", "/upper", "/work", "/merged"}) {
        std::error_code failed;
        fs::create_directory(made + part, failed);
    }
    const std::string options =
        "lowerdir=" + made + "/lower,upperdir=" + made + "/upper,workdir=" + made + "/work";
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        why = "no mount namespace can be made";
    else if (::mount("overlay", (made + "/merged").c_str(), "overlay", 0, options.c_str()) != 0)
        why = std::generic_category().message(errno);
    else
        ::umount2((made + "/merged").c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove_all(made, ignored);
    return why;
}

Diagnoses check_overlay(const std::string& folder) {
    const std::string name = "storage.overlay";
    if (::geteuid() != 0) return {needs_root(name, "whether " + folder + " can hold overlays")};
    std::error_code ignored;
    std::string there = folder;
    // Before the node's first start: the file system on which the folder will be made.
    while (there.size() > 1 && !fs::is_directory(there, ignored))
        there = fs::path(there).parent_path().string();
    return in_child(name, [&]() -> Diagnoses {
        const std::string why = try_overlay(there);
        if (why.empty()) return {good(name, there + " can hold what containers change")};
        return {problem(name, there + " cannot hold what containers change: " + why,
                        "put path.storage.overlayfs on a local ext4, xfs, btrfs or tmpfs")};
    });
}

}  // namespace

Diagnoses check_storage(const config::View& view, const InUse& use) {
    Diagnoses diagnoses;
    for (const auto* const key :
         {&config::path_storage_images, &config::path_storage_basefs, &config::path_storage_homefs,
          &config::path_storage_overlayfs, &config::path_storage_rootfs})
        diagnoses.push_back(check_folder(key->name, view.get(*key)));
    for (Diagnosis& one : check_what_containers_made(view, use))
        diagnoses.push_back(std::move(one));
    if (use.unions.contains("overlayfs"))
        for (Diagnosis& one : check_overlay(view.get(config::path_storage_overlayfs)))
            diagnoses.push_back(std::move(one));
    return diagnoses;
}

}  // namespace qvd::admin::doctor
