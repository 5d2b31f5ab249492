// How passwords are kept: Argon2id with a salt of its own and the parameters in the hash. Rows of
// upstream's (SHA-256 with one salt for all, behaviour 3.4) verify and ask to be replaced.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <string_view>

namespace qvd {

// Work per hash. The default takes about 50 ms of one core and 19 MiB (RFC 9106, OWASP 2023).
struct PasswordCost {
    std::uint32_t memory_kib = 19456;
    std::uint32_t passes = 2;
};

// "$argon2id$v=19$m=...": everything that verification needs.
Result<Secret> hash_password(const Secret& password, PasswordCost cost = {});

struct PasswordVerdict {
    bool matches = false;
    bool outdated = false;  // matched, but the row should be replaced by hash_password()
};

// `upstream_salt` is l7r.auth.plugin.default.salt. An empty password never matches. Takes the time
// of a hash also when `hash` is empty, so that an unknown login cannot be told from a wrong
// password.
PasswordVerdict verify_password(const Secret& hash, const Secret& password,
                                std::string_view upstream_salt, PasswordCost cost = {});

// What the upstream release stored: base64 without padding of SHA-256(salt, password).
std::string upstream_password_hash(std::string_view salt, const Secret& password);

}  // namespace qvd
