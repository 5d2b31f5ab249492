// Talking to a container's keeper; its protocol is told in keeper/keeper.hpp.
#pragma once

#include "common/fields.hpp"
#include "common/unique_fd.hpp"

#include <qvd/hypervisor_backend.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace qvd::lxc {

class KeeperSocket {
public:
    // Empty (false) if nobody answers at this path.
    static KeeperSocket open(const std::string& path);
    explicit operator bool() const { return static_cast<bool>(fd_); }
    [[nodiscard]] int fd() const { return fd_.get(); }
    UniqueFd release() { return std::move(fd_); }

    // The answer, or nothing if none came in time or the keeper is gone.
    std::optional<Fields> ask(std::string_view request, std::chrono::milliseconds patience);
    std::optional<Fields> receive(std::chrono::milliseconds patience);

private:
    UniqueFd fd_;
};

// What a keeper, or the state file that it left, says of its VM. `alive`: the keeper itself said
// it.
sdk::VmStatus status_from(const Fields& said, bool alive);

}  // namespace qvd::lxc
