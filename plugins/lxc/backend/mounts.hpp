// Mounting and unmounting.
#pragma once

#include "backend/user_map.hpp"

#include <string>
#include <vector>

namespace qvd::lxc {

struct Mounted {
    std::string path;
    std::string type;
    std::string options;  // of the file system: "lowerdir=...,upperdir=..."
};

// Whatever is mounted on or below `path` in this mount namespace, in the order of mounting.
std::vector<Mounted> mounts_below(const std::string& path);
// Whether a union mount has this directory as one of its own (lower, upper or work).
bool in_use_by_union(const std::string& directory);

struct OverlayLayers {
    std::string lower;
    std::string upper;
    std::string work;
};
// Kernel overlayfs; made so that attributes in foreign layers mean nothing. False with errno.
bool mount_overlay(const OverlayLayers& layers, const std::string& at);

// `source` itself, without devices; read-only for everybody at `at`, if so. False with errno.
bool mount_bind(const std::string& source, const std::string& at, bool read_only);

// Takes off everything on and below `path`; true once nothing is left there.
bool unmount_all(const std::string& path);

// By its name in /proc/filesystems: "overlay", "fuse", "btrfs". Loads its module, if it is one; for
// root.
bool kernel_has(const std::string& file_system);
// The file system that the path is on: "ext4"; empty if it cannot be told.
std::string file_system_of(const std::string& path);

// Why a directory cannot hold the changes of a union mount, tried with a real one; empty if it can.
std::string union_obstacle(const std::string& directory);

// As mount_overlay(), all of it owned by the ids of `map`. Upper and work lie in one folder.
// Nothing remains below the folder `halfway`, which is made and removed. False with errno.
bool mount_mapped_overlay(const OverlayLayers& layers, const std::string& halfway,
                          const std::string& at, const UserMap& map);
// As union_obstacle(), of that.
std::string mapped_union_obstacle(const std::string& directory, const UserMap& map);

}  // namespace qvd::lxc
