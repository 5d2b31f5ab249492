// A container's own user and group ids: on the node they are others, which nobody there has. Files
// keep the ids that the container sees; its mounts of them are mapped.
#pragma once

#include "common/unique_fd.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace qvd::lxc {

struct UserMap {
    std::uint32_t first = 0;  // the node's id that is the container's root
    std::uint32_t count = 0;
    UniqueFd user_namespace;  // with that map, for mounts
};
// Null: the container has the node's own ids.
using UserMapPtr = std::shared_ptr<const UserMap>;

// Throws sdk::Failure(QVD_UNAVAILABLE) with what this machine lacks.
UserMapPtr make_user_map(std::uint32_t first, std::uint32_t count);

// Why a mount of the file or folder cannot be mapped; empty if it can.
std::string mapping_obstacle(const std::string& path, const UserMap& map);

// As mount_bind(): `source` at `at`, owned by the container's ids. False with errno.
bool mount_mapped(const std::string& source, const std::string& at, bool read_only,
                  const UserMap& map);

// While it lives this thread touches files as the container's root, who alone can own files below a
// mapped mount. No map: as the node's.
class ActingAs {
public:
    explicit ActingAs(const UserMap* map);
    ~ActingAs();
    ActingAs(const ActingAs&) = delete;
    ActingAs& operator=(const ActingAs&) = delete;

    // ... and has all the rights of the node's root nevertheless.
    [[nodiscard]] static bool raise_rights();

private:
    bool changed_;
};

}  // namespace qvd::lxc
