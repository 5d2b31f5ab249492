// Which addresses guess passwords: after too many failures within a minute an address is refused
// without asking anybody, node-wide, until the minute is over. IPv6 counts by its /64, as
// connections do.
#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/wakeup.hpp"

#include <boost/asio/awaitable.hpp>

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

namespace qvd::broker {

class FailedLogins {
    struct Address {
        struct Failure {
            Clock::time_point at;
            std::string login;
        };
        std::deque<Failure> failures;  // oldest first
        std::int64_t under_way = 0;
        Wakeup changed;
    };

public:
    // One login that is being tried. While it lives it counts as if it had failed already, so that
    // guesses made all at once are not more than guesses made one by one.
    class Attempt {
    public:
        Attempt(FailedLogins& among, std::string key, std::shared_ptr<Address> address,
                std::string login);
        ~Attempt();
        Attempt(const Attempt&) = delete;
        Attempt& operator=(const Attempt&) = delete;

        // The credentials were wrong; neither of the two: nobody could say.
        void failed();
        // They were right: this login's failures are forgotten, and no others: who has an account
        // may not guess at the others' for it.
        void succeeded();

    private:
        FailedLogins& among_;
        std::string key_;
        std::shared_ptr<Address> address_;
        std::string login_;
    };

    explicit FailedLogins(const Clock& clock) : clock_(clock) {}

    // Waits while so many attempts from there are under way that all of them failing would reach
    // `limit`. denied "auth.too_many" with the seconds to wait. `login` is normalised.
    boost::asio::awaitable<Result<std::shared_ptr<Attempt>>> begin(std::string address,
                                                                   std::string login,
                                                                   std::int64_t limit);
    [[nodiscard]] std::size_t addresses() const { return addresses_.size(); }

    static constexpr std::chrono::seconds window{60};
    // Addresses remembered at most; beyond, the one that failed longest ago is forgotten.
    static constexpr std::size_t max_addresses = 10'000;

private:
    std::shared_ptr<Address> find_or_add(const std::string& key);
    void make_room();
    void drop_old(Address& address) const;

    const Clock& clock_;
    std::unordered_map<std::string, std::shared_ptr<Address>> addresses_;
};

}  // namespace qvd::broker
