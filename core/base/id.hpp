// Ids that cannot be swapped: start(VmId, NodeId) does not compile with the arguments exchanged.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

namespace qvd {

// A database key, always positive; 0 means "none" only where a comment says so.
template <class Tag>
class Id {
public:
    constexpr Id() = default;
    constexpr explicit Id(std::int64_t value) : value_(value) {}

    [[nodiscard]] constexpr std::int64_t value() const noexcept { return value_; }
    [[nodiscard]] std::string text() const { return std::to_string(value_); }
    constexpr auto operator<=>(const Id&) const = default;  // NOLINT(modernize-use-nullptr): its 0

private:
    std::int64_t value_ = 0;
};

using VmId = Id<struct VmIdTag>;
using NodeId = Id<struct NodeIdTag>;
using UserId = Id<struct UserIdTag>;
using OsfId = Id<struct OsfIdTag>;
using DiId = Id<struct DiIdTag>;
using SessionId = Id<struct SessionIdTag>;

}  // namespace qvd

template <class Tag>
struct std::hash<qvd::Id<Tag>> {
    std::size_t operator()(const qvd::Id<Tag>& id) const noexcept {
        return std::hash<std::int64_t>{}(id.value());
    }
};
