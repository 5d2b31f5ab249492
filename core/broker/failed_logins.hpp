// Which addresses guess passwords: after too many failures within a minute an address is refused
// without asking anybody, node-wide, until the minute is over.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"

#include <deque>
#include <string>
#include <unordered_map>

namespace qvd::broker {

class FailedLogins {
public:
    explicit FailedLogins(const Clock& clock) : clock_(clock) {}

    // denied "auth.too_many" with the seconds to wait.
    [[nodiscard]] Result<void> check(const std::string& address, std::int64_t limit);
    void add(const std::string& address);
    // A right password ends the suspicion.
    void forget(const std::string& address) { failures_.erase(address); }

    static constexpr std::chrono::seconds window{60};
    // Addresses remembered at most; beyond, the one that failed longest ago is forgotten.
    static constexpr std::size_t max_addresses = 10'000;

private:
    void drop_old(std::deque<Clock::time_point>& failures) const;

    const Clock& clock_;
    std::unordered_map<std::string, std::deque<Clock::time_point>> failures_;
};

}  // namespace qvd::broker
