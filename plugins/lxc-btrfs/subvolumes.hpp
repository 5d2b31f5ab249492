// Trees as subvolumes of a btrfs: copied by a snapshot, sealed by the kernel, and removed in one
// call, the space coming back later.
#pragma once

#include "backend/trees.hpp"

#include <string>

namespace qvd::lxc {

class Subvolumes : public Trees {
public:
    void make(const std::string& path) const override;
    [[nodiscard]] bool seal(const std::string& path) const override;
    // Of a subvolume, with those that a VM has made in it; a plain folder as any.
    bool remove(const std::string& path, const std::atomic<bool>* stop) const override;

    // A writable copy of the subvolume `source`; throws sdk::Failure.
    static void snapshot(const std::string& source, const std::string& path);
    static bool is_subvolume(const std::string& path);
    // Whether the folder is on a btrfs at all.
    static bool is_btrfs(const std::string& folder);
};

}  // namespace qvd::lxc
