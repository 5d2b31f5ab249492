// What lies in a node's folders for images and VMs, by its names alone. Everything here blocks.
#pragma once

#include "base/id.hpp"
#include "config/view.hpp"
#include "model/vm.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace qvd::hkd {

enum class ItemKind : std::uint8_t {
    image,       // a registered image's file
    unpacked,    // a node's copy of one, as a tree
    overlay,     // what a VM changed in its image
    home,        // of a VM, or of a user
    memory,      // of a suspended VM
    checkpoint,  // memory and disks of a VM at one moment
    snapshot,    // a VM's disks at one moment
    discarded,   // on its way out: deleteme-...
    part,        // half unpacked, or half written
    incoming     // an image on its way in: .incoming-...
};
// "unpacked image", "overlay": for people and programs.
std::string_view to_string(ItemKind kind);

struct Item {
    ItemKind kind = ItemKind::image;
    std::string path;
    // The plugin that knows how to remove it; empty: it is a file, or a folder of files.
    std::string hypervisor;
    DiId di;                  // 0: of none
    VmId vm;                  // 0: of none
    std::string login;        // of a user's home
    Timestamp changed;        // by this machine's clock; of an unpacked image when it was used last
    std::string lock = {};    // held by who still works at it; empty: nobody locks it
    std::uint64_t bytes = 0;  // of an unpacked image, as it was unpacked; 0: to be measured
    // A checkpoint that its VM does not go back to (needs.hpp): none of what the VM does needs it.
    bool orphaned = false;

    [[nodiscard]] std::string name() const { return path.substr(path.rfind('/') + 1); }
};

// Which folders hold what.
struct StoragePlaces {
    std::string images;
    std::string overlays;
    std::string homes;
    std::string suspended;
    std::string snapshots;
    std::string basefs;
    std::string overlayfs;
    std::string homefs;
    std::string btrfs_images;
    std::string btrfs_vms;
};
StoragePlaces storage_places(const config::View& view);

// Names that are nobody's, and symbolic links, are left out: what an operator put there is his.
std::vector<Item> take_stock(const StoragePlaces& places);

// What it takes on its disk, within `limit`; nothing if that was too short.
std::optional<std::uint64_t> measure(const std::string& path, std::chrono::milliseconds limit);
// MiB that are left on the file system of `path`; nothing if nobody can tell.
std::optional<std::int64_t> room_at(const std::string& path);

}  // namespace qvd::hkd
