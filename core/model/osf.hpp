// What VMs are made from: the OSF (run-time parameters) and its disk images, labelled by tags.
#pragma once

#include "base/id.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace qvd {

struct Osf {
    OsfId id;
    std::string name;
    std::int64_t memory_mib = 256;
    bool use_overlay = true;
    std::int64_t user_storage_mib = 0;  // 0: VMs of this osf have no home of their own
};

struct DiTag {
    std::string tag;
    bool fixed = false;  // the version tag: can be neither removed nor taken
};

struct Di {
    DiId id;
    std::string uuid;
    OsfId osf;
    std::string path;     // file name inside path.storage.images: "<id>-<name>"
    std::string version;  // YYYY-MM-DD-NNN unless the administrator chose one
    std::vector<DiTag> tags;
    std::int64_t size_bytes = 0;  // of its file; 0: an older version added it and did not say
    std::string checksum = {};    // "sha256:<hex>" of its file, or empty as well
};

}  // namespace qvd
