// Mounting and unmounting.
#pragma once

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

struct Union {
    std::string lower;
    std::string upper;
    std::string work;
};
// Kernel overlayfs; made so that attributes in foreign layers mean nothing. False with errno.
bool mount_overlay(const Union& layers, const std::string& at);

// Takes off everything on and below `path`; true once nothing is left there.
bool unmount_all(const std::string& path);

// Why a directory cannot hold the changes of a union mount, tried with a real one; empty if it can.
std::string union_obstacle(const std::string& directory);

}  // namespace qvd::lxc
