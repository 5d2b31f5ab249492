// How many connections there are, in all and from one address: a worker's own, and those that the
// others have told of.
#pragma once

#include "net/frames.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace qvd::net {

enum class Admission {
    welcome,
    // A few beyond the limit are still read, so that they hear why they are refused.
    address_full,
    full,
    drop,  // the rest is closed without a word
};

class ConnectionLimits {
public:
    // How many beyond a limit are told.
    static constexpr std::size_t polite_per_address = 8;
    static constexpr std::size_t polite_in_all = 16;

    // `in_all` and `per_address` of all workers together, `own` of this one. `per_address` 0: no
    // limit, e.g. behind a balancer whose address is all that we see.
    void set(std::size_t own, std::size_t in_all, std::size_t per_address) {
        own_ = own;
        in_all_ = in_all;
        per_address_ = per_address;
    }
    // What the other workers hold.
    void heard(const Connections& elsewhere);
    void forget_others();

    // Counts the connection unless `drop`; then release() once it ends.
    Admission admit(const std::string& address);
    void release(const std::string& address);

    // Nobody more should be accepted: let the listen queue, or another worker, hold them.
    [[nodiscard]] bool exhausted() const {
        return count_ >= own_ + polite_in_all || count_ + elsewhere_ >= in_all_ + polite_in_all;
    }
    [[nodiscard]] std::size_t count() const { return count_; }

    // For the others: what has changed since the last news(), or all there is; in pieces that fit
    // into frames.
    std::vector<Connections> news();
    [[nodiscard]] std::vector<Connections> everything() const;

private:
    [[nodiscard]] std::vector<Connections> in_pieces(
        const std::vector<std::string>& addresses) const;

    std::size_t own_ = 4096;
    std::size_t in_all_ = 4096;
    std::size_t per_address_ = 64;
    std::size_t count_ = 0;
    std::unordered_map<std::string, std::size_t> by_address_;
    std::unordered_set<std::string> changed_;
    std::size_t elsewhere_ = 0;
    std::unordered_map<std::string, std::size_t> elsewhere_by_address_;
};

// What counts as one address: IPv4 whole, IPv6 by its /64 (a household or a machine).
[[nodiscard]] std::string counted_address(const std::string& address);

}  // namespace qvd::net
