// Certificates for tests, made on the spot.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace qvd::testing {

struct OpenSslDeleter {
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

struct Identity {
    std::unique_ptr<EVP_PKEY, OpenSslDeleter> key;
    std::unique_ptr<X509, OpenSslDeleter> certificate;

    [[nodiscard]] std::string certificate_pem() const;
    [[nodiscard]] std::string key_pem() const;
    // SHA-256, lower-case hexadecimal.
    [[nodiscard]] std::string fingerprint() const;
};

struct IdentityWish {
    std::string alternative_names = "DNS:localhost,IP:127.0.0.1";
    long starts_in_seconds = -3600;
    long ends_in_seconds = 3600;
    const Identity* issuer = nullptr;  // none: signs itself
    bool authority = false;
};

Identity make_identity(const std::string& common_name, const IdentityWish& wish = {});

}  // namespace qvd::testing
