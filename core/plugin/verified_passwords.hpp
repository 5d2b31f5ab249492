// Passwords that were found right a moment ago: a client that opens a second connection (protocol
// A1) should not wait for a second Argon2.
#pragma once

#include "base/clock.hpp"
#include "base/secret.hpp"
#include "model/password.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string_view>

namespace qvd::plugin {

// Keeps no password and no stored hash: of both only a MAC under a key that is made with the
// process and never leaves it. It stands for this very stored hash, so that a changed password is
// asked for at once. Any thread.
class VerifiedPasswords {
public:
    explicit VerifiedPasswords(const Clock& clock);

    // As qvd::verify_password(), which is spared if it said yes to the same within `lifetime`. A
    // wrong password always takes its time.
    PasswordVerdict verify(const Secret& hash, const Secret& password,
                           std::string_view upstream_salt);
    // How often it was not spared.
    [[nodiscard]] std::uint64_t computed() const;
    [[nodiscard]] std::size_t size() const;

    // From the last time it was verified for real, not from the last time it was used.
    static constexpr std::chrono::seconds lifetime{60};
    // Beyond, the oldest goes.
    static constexpr std::size_t most = 4096;

private:
    using Mac = std::array<unsigned char, 32>;
    struct Known {
        Mac mac{};
        Clock::time_point until;
    };

    [[nodiscard]] Mac mac_of(std::string_view hash, std::string_view password) const;
    [[nodiscard]] bool is_known(const Mac& account, const Mac& mac) const;
    void remember(const Mac& account, const Mac& mac);

    const Clock& clock_;
    Secret key_;
    mutable std::mutex mutex_;  // guards what follows
    std::map<Mac, Known> known_;
    std::uint64_t computed_ = 0;
};

}  // namespace qvd::plugin
