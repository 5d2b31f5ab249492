#include "model/password.hpp"

#include "base/text.hpp"

#include <argon2.h>
#include <openssl/evp.h>

#include <array>
#include <cstring>
#include <string>

namespace qvd {

namespace {

constexpr std::uint32_t lanes = 1;
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t hash_bytes = 32;
constexpr std::string_view argon2id_prefix = "$argon2id$";

std::string parameters_of(PasswordCost cost) {
    return "$m=" + std::to_string(cost.memory_kib) + ",t=" + std::to_string(cost.passes) +
           ",p=" + std::to_string(lanes) + "$";
}

}  // namespace

Result<Secret> hash_password(const Secret& password, PasswordCost cost) {
    if (password.empty())
        return Error{ErrorKind::invalid, "password.empty", "an empty password is not allowed"};
    const Secret salt = random_token(salt_bytes / 2);  // as text: 16 characters
    const std::size_t length =
        argon2_encodedlen(cost.passes, cost.memory_kib, lanes, salt_bytes, hash_bytes, Argon2_id);
    std::string encoded(length, '\0');
    const int problem = argon2id_hash_encoded(
        cost.passes, cost.memory_kib, lanes, password.reveal().data(), password.reveal().size(),
        salt.reveal().data(), salt_bytes, hash_bytes, encoded.data(), encoded.size());
    if (problem != ARGON2_OK)
        return Error{ErrorKind::unavailable, "password.hash",
                     std::string("cannot hash a password: ") + argon2_error_message(problem)};
    encoded.resize(encoded.find('\0'));
    return Secret{encoded};
}

std::string upstream_password_hash(std::string_view salt, const Secret& password) {
    std::string text(salt);
    text += password.reveal();
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
    explicit_bzero(text.data(), text.size());
    std::string encoded =
        text::base64_encode({reinterpret_cast<const char*>(digest.data()), size});  // NOLINT
    while (!encoded.empty() && encoded.back() == '=') encoded.pop_back();
    return encoded;
}

PasswordVerdict verify_password(const Secret& hash, const Secret& password,
                                std::string_view upstream_salt, PasswordCost cost) {
    if (password.empty()) return {};
    if (hash.empty()) {
        (void)hash_password(password, cost);
        return {};
    }
    if (!hash.reveal().starts_with(argon2id_prefix)) {
        const bool matches = hash.equals(upstream_password_hash(upstream_salt, password));
        return {matches, matches};
    }
    const std::string encoded(hash.reveal());
    const bool matches = argon2id_verify(encoded.c_str(), password.reveal().data(),
                                         password.reveal().size()) == ARGON2_OK;
    const bool current = encoded.find(parameters_of(cost)) != std::string::npos;
    return {matches, matches && !current};
}

}  // namespace qvd
