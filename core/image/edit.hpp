// A new image from one that exists: its copy is opened, somebody or something changes it, and it is
// written. The image itself is only read.
#pragma once

#include "base/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qvd::image {

struct EditOrder {
    std::string image;                 // a file: an archive, or a disk by its ending
    std::string work;                  // a folder with room for the copy
    std::vector<std::string> command;  // what changes it; empty: a person at this terminal
    int stop_fd = -1;                  // readable: stop; -1: nobody does
    // Of archives: the program that unpacks foreign ones (qvd-unpack).
    std::string unpacker;
    // Of disks: "kvm" or "tcg".
    std::string accelerator = "tcg";
};

class Edit {
public:
    Edit() = default;
    Edit(const Edit&) = delete;
    Edit& operator=(const Edit&) = delete;
    virtual ~Edit() = default;

    // Makes the copy. Errors: image.tool, image.no_space, image.unsafe and whatever else is wrong
    // with the image; cancelled "stopped" here and in what follows.
    virtual Result<void> open() = 0;
    // Runs the command, or what a person works in, in the copy; gives the exit status. What runs
    // and what is mounted for it ends with this call, or this process.
    virtual Result<int> enter() = 0;
    // Writes the copy as an image, which has the ending of the first. Errors: image.no_space,
    // image.build.
    virtual Result<void> write(const std::string& output) = 0;
};

// Archives are unpacked and entered by chroot, with /proc, /sys, /dev, names of this machine's
// network and no services started. Root only.
std::unique_ptr<Edit> edit_archive(EditOrder order);

// Disks are started as a virtual machine, with its console at this terminal. A command needs an
// image that takes it (etc/images/debian/guest-edit).
std::unique_ptr<Edit> edit_disk(EditOrder order);

// By the image's ending.
std::unique_ptr<Edit> edit(EditOrder order);

}  // namespace qvd::image
