// The keys of the store's own; database.* and path.* are every program's (config/keys.hpp).
#pragma once

#include "config/key.hpp"

namespace qvd::store {

inline constexpr config::Key<std::chrono::milliseconds> database_timeout{
    "internal.database.timeout",
    "5000",
    "milliseconds",
    "how long one call to the database may take, waiting for a connection included",
    config::file_only | config::internal,
    config::Range{100, 600'000}};
inline constexpr config::Key<std::int64_t> database_pool_size{
    "internal.database.pool.size",
    "2",
    "",
    "connections to the database of each broker and hkd, besides the one that listens",
    config::file_only | config::internal,
    config::Range{1, 20}};
inline constexpr config::Key<std::string> database_os_user{"internal.database.os_user", "qvd-db",
                                                           "", "who runs the embedded database",
                                                           config::file_only | config::internal};

inline void declare(config::KeySet& keys) {
    keys.add(database_timeout, database_pool_size, database_os_user);
}

}  // namespace qvd::store
