#include "plugin/verified_passwords.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <string>

namespace qvd::plugin {

namespace {

constexpr std::size_t key_bytes = 32;

}  // namespace

VerifiedPasswords::VerifiedPasswords(const Clock& clock)
    : clock_(clock), key_(random_token(key_bytes)) {
}

VerifiedPasswords::Mac VerifiedPasswords::mac_of(std::string_view hash,
                                                 std::string_view password) const {
    // No stored hash has a NUL, so no two pairs make the same text.
    std::string text(hash);
    text += '\0';
    text += password;
    Mac mac{};
    unsigned int size = 0;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());  // NOLINT
    HMAC(EVP_sha256(), key_.reveal().data(), static_cast<int>(key_.reveal().size()), bytes,
         text.size(), mac.data(), &size);
    OPENSSL_cleanse(text.data(), text.size());
    return mac;
}

PasswordVerdict VerifiedPasswords::verify(const Secret& hash, const Secret& password,
                                          std::string_view upstream_salt) {
    const bool may_be_known = !hash.empty() && !password.empty();
    const Mac account = mac_of(hash.reveal(), {});
    const Mac mac = mac_of(hash.reveal(), password.reveal());
    if (may_be_known && is_known(account, mac)) return {true, false};
    const PasswordVerdict verdict = verify_password(hash, password, upstream_salt);
    const std::scoped_lock lock(mutex_);
    ++computed_;
    // An outdated hash is about to be replaced.
    if (may_be_known && verdict.matches && !verdict.outdated) remember(account, mac);
    return verdict;
}

bool VerifiedPasswords::is_known(const Mac& account, const Mac& mac) const {
    const std::scoped_lock lock(mutex_);
    const auto found = known_.find(account);
    if (found == known_.end() || clock_.now() >= found->second.until) return false;
    return CRYPTO_memcmp(found->second.mac.data(), mac.data(), mac.size()) == 0;
}

void VerifiedPasswords::remember(const Mac& account, const Mac& mac) {
    const auto now = clock_.now();
    std::erase_if(known_, [now](const auto& entry) { return now >= entry.second.until; });
    if (known_.size() >= most && !known_.contains(account))
        known_.erase(std::ranges::min_element(
            known_, {}, [](const auto& entry) { return entry.second.until; }));
    known_[account] = {mac, now + lifetime};
}

std::uint64_t VerifiedPasswords::computed() const {
    const std::scoped_lock lock(mutex_);
    return computed_;
}

std::size_t VerifiedPasswords::size() const {
    const std::scoped_lock lock(mutex_);
    return known_.size();
}

}  // namespace qvd::plugin
