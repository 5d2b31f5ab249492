#include "broker/failed_logins.hpp"

#include <algorithm>

namespace qvd::broker {

void FailedLogins::drop_old(std::deque<Clock::time_point>& failures) const {
    const auto oldest = clock_.now() - window;
    while (!failures.empty() && failures.front() <= oldest) failures.pop_front();
}

Result<void> FailedLogins::check(const std::string& address, std::int64_t limit) {
    const auto known = failures_.find(address);
    if (known == failures_.end()) return {};
    drop_old(known->second);
    if (known->second.empty()) {
        failures_.erase(known);
        return {};
    }
    if (static_cast<std::int64_t>(known->second.size()) < limit) return {};
    const auto wait =
        std::chrono::ceil<std::chrono::seconds>(known->second.front() + window - clock_.now());
    return Error{ErrorKind::denied, "auth.too_many",
                 "Too many failed logins from your address, try again in " +
                     std::to_string(wait.count()) + " s"};
}

void FailedLogins::add(const std::string& address) {
    if (failures_.size() >= max_addresses && !failures_.contains(address)) {
        const auto oldest = std::ranges::min_element(
            failures_, {}, [](const auto& entry) { return entry.second.back(); });
        failures_.erase(oldest);
    }
    failures_[address].push_back(clock_.now());
}

}  // namespace qvd::broker
