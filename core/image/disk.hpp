// A disk for virtual machines from a root file system.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <string>

namespace qvd::image {

// The label of its file system, by which its kernel finds it.
inline constexpr const char* root_label = "qvd-root";

struct DiskOrder {
    std::string root;    // the folder with the files
    std::string output;  // NAME.qcow2 or NAME.raw
    std::string work;    // a folder for what comes between, on a file system with room for the disk
    int stop_fd = -1;    // readable: stop; -1: nobody does
};

// One partition, ext4, begun by the GRUB that the files bring along (/boot/grub/boot.img and
// core.img). Its free space is 2 GiB, and takes none on the disk of this machine. Root only: the
// files keep their owners. `begin` is told of each step: one, and of a qcow2 another one. Errors:
// image.tool, image.boot (no GRUB in it), image.no_space, image.build, image.output; cancelled
// "stopped".
Result<void> make_disk(const DiskOrder& order,
                       const std::function<void(const std::string& step)>& begin);

// The first 512 bytes: GRUB's boot.img with a table of one partition, in sectors.
Result<std::string> boot_sector(const std::string& boot_image, std::uint32_t first,
                                std::uint32_t count);

}  // namespace qvd::image
