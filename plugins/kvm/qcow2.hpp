// Disk images: what is known of one before a guest gets it, and new ones.
//
// New ones are written here and not by libvirt's storage driver: that would need a pool for each
// folder, whose every image libvirt looks into when it starts, and runs qemu-img for each start.
// What an empty image consists of is small and fixed: header, reference counts, and tables that
// refer to nothing.
#pragma once

#include <cstdint>
#include <string>

namespace qvd::kvm {

// Throws sdk::Failure(QVD_INVALID) on a qcow2 image that is none, is broken, encrypted, or refers
// to other files of the node, and QVD_NOT_FOUND if it is not there. Returns how large its disk is,
// in bytes.
std::uint64_t check_qcow2(const std::string& path);
// The same of a raw image: its size, whole sectors.
std::uint64_t check_raw(const std::string& path);
// By format, "raw" or "qcow2".
std::uint64_t check_image(const std::string& path, const std::string& format);

struct NewImage {
    std::string path;
    std::uint64_t disk_bytes = 0;
    std::string backing;  // what a reader finds where nothing was written; empty: zeros
    std::string backing_format;
};
// Makes it whole or not at all, over what is there; throws sdk::Failure.
void make_qcow2(const NewImage& image);

}  // namespace qvd::kvm
