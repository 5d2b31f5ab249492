// How much of a btrfs is a subvolume's alone, and may be: qgroups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace qvd::lxc {

// What btrfs calls it by; 0: it is none.
std::uint64_t subvolume_id(const std::string& path);

// Lets the subvolume have this much that it shares with no other; 0: as much as there is. Begins to
// count on this file system if nobody has so far. Throws sdk::Failure.
void limit_own_bytes(const std::string& subvolume, std::uint64_t bytes);
// What it has alone, as of the file system's last commit; nothing if nobody counts.
std::optional<std::uint64_t> own_bytes(const std::string& subvolume);
// After a subvolume was deleted; newer kernels do it by themselves. `folder`: on the same btrfs.
void forget_quota(const std::string& folder, std::uint64_t subvolume_id);

}  // namespace qvd::lxc
