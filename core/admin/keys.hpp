// The keys of what administrators make: defaults of new things.
#pragma once

#include "config/key.hpp"

namespace qvd::admin {

inline constexpr config::Key<config::Mebibytes> osf_memory{
    "osf.default.memory",
    "256",
    "MiB",
    "the memory of an OSF that is added without memory=",
    0,
    config::Range{16, 1 << 24}};
inline constexpr config::Key<bool> osf_overlay{
    "osf.default.overlay", "1", "",
    "whether VMs of an OSF that is added without use_overlay= may change their image's files"};

inline void declare(config::KeySet& keys) {
    keys.add(osf_memory, osf_overlay);
}

}  // namespace qvd::admin
