// The VM's second disk as the place of homes.
#pragma once

#include "vma/keys.hpp"
#include "vma/process.hpp"

namespace qvd::vma {

// Mounts `vma.user.home.drive` at `vma.user.home.path`, unless there is no such disk or something
// is mounted there already. Only a disk without any content is partitioned, and only a partition
// without any is formatted. Errors: vma.home.
Task<Result<void>> mount_home_drive(Processes& processes, const Settings& settings);

// "/dev/vdb" -> "/dev/vdb1", "/dev/nvme1n1" -> "/dev/nvme1n1p1".
std::string first_partition_of(std::string_view drive);

}  // namespace qvd::vma
