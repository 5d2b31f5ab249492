// The server's certificate: everything that is wrong with it, in words, and what identifies it.
#pragma once

#include "base/result.hpp"

#include <openssl/types.h>

#include <set>
#include <string>
#include <vector>

namespace qvd::client {

// The classes that `client.ssl.allow_*` tells apart.
enum class ProblemKind {
    bad_host,
    untrusted,
    expired,
    not_yet_valid,
    insecure_sign_algo,
    weak_key,
    revoked,
    unknown_error
};
// As in the key's name: "bad_host".
[[nodiscard]] std::string_view to_string(ProblemKind kind);

struct CertificateProblem {
    int number = 0;  // OpenSSL's X509_V_ERR_*
    ProblemKind kind = ProblemKind::unknown_error;
    std::string sentence;
};

struct PeerCertificate {
    std::string fingerprint;  // SHA-256 of the DER form, lower-case hexadecimal
    std::string subject;
    std::string issuer;
    std::string valid_from;
    std::string valid_until;
    std::vector<CertificateProblem> problems;  // each at most once

    [[nodiscard]] std::set<int> problem_numbers() const;
};

// Before the handshake: which name or address the certificate must be for.
void expect_host(SSL* ssl, const std::string& host);
// Before the handshake: lets it go on whatever is wrong, and writes that to `peer`, which must live
// as long as `ssl`.
void collect_problems(SSL* ssl, PeerCertificate* peer);
// After the handshake: fills in all but the problems.
void describe(SSL* ssl, PeerCertificate& peer);
// The latest complaint of OpenSSL's, in words; errno's if OpenSSL has none.
[[nodiscard]] std::string tls_complaint();

}  // namespace qvd::client
