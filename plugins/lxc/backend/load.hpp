// The node's memory and processor, from /proc.
#pragma once

#include <qvd/hypervisor_backend.hpp>

#include <cstdint>
#include <mutex>

namespace qvd::lxc {

class Load {
public:
    // Idle time counts since the call before; at the first, since the node's boot.
    sdk::Capacity measure();

private:
    std::mutex mutex_;  // guards the two
    std::uint64_t idle_before_ = 0;
    std::uint64_t all_before_ = 0;
};

}  // namespace qvd::lxc
