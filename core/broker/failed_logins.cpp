#include "broker/failed_logins.hpp"

#include "net/limits.hpp"

#include <utility>

namespace qvd::broker {

FailedLogins::Attempt::Attempt(FailedLogins& among, std::string key,
                               std::shared_ptr<Address> address, std::string login)
    : among_(among), key_(std::move(key)), address_(std::move(address)), login_(std::move(login)) {
    ++address_->under_way;
}

FailedLogins::Attempt::~Attempt() {
    --address_->under_way;
    address_->changed.notify();
    // Held by the map and by us alone: nobody waits for it, and there is nothing to remember.
    if (address_->failures.empty() && address_.use_count() == 2) among_.addresses_.erase(key_);
}

void FailedLogins::Attempt::failed() {
    address_->failures.push_back({among_.clock_.now(), login_});
}

void FailedLogins::Attempt::succeeded() {
    std::erase_if(address_->failures, [&](const auto& failure) { return failure.login == login_; });
}

void FailedLogins::drop_old(Address& address) const {
    const auto oldest = clock_.now() - window;
    while (!address.failures.empty() && address.failures.front().at <= oldest)
        address.failures.pop_front();
}

// Those with attempts under way stay: there are never more of them than connections.
void FailedLogins::make_room() {
    auto oldest = addresses_.end();
    for (auto entry = addresses_.begin(); entry != addresses_.end(); ++entry) {
        const Address& address = *entry->second;
        if (entry->second.use_count() > 1 || address.failures.empty()) continue;
        if (oldest == addresses_.end() ||
            address.failures.back().at < oldest->second->failures.back().at)
            oldest = entry;
    }
    if (oldest != addresses_.end()) addresses_.erase(oldest);
}

std::shared_ptr<FailedLogins::Address> FailedLogins::find_or_add(const std::string& key) {
    if (addresses_.size() >= max_addresses && !addresses_.contains(key)) make_room();
    auto& place = addresses_[key];
    if (!place) place = std::make_shared<Address>();
    return place;
}

boost::asio::awaitable<Result<std::shared_ptr<FailedLogins::Attempt>>> FailedLogins::begin(
    std::string address, std::string login, std::int64_t limit) {
    const std::string key = net::counted_address(address);
    const std::shared_ptr<Address> place = find_or_add(key);
    for (;;) {
        drop_old(*place);
        const auto failures = static_cast<std::int64_t>(place->failures.size());
        if (failures >= limit) {
            const auto wait = std::chrono::ceil<std::chrono::seconds>(place->failures.front().at +
                                                                      window - clock_.now());
            co_return Error{ErrorKind::denied, "auth.too_many",
                            "Too many failed logins from your address, try again in " +
                                std::to_string(wait.count()) + " s"};
        }
        if (failures + place->under_way < limit)
            co_return std::make_shared<Attempt>(*this, key, place, std::move(login));
        co_await place->changed.wait(window);
    }
}

}  // namespace qvd::broker
