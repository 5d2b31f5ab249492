#include "client/certificate.hpp"

#include "base/openssl.hpp"
#include "client/printable.hpp"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace qvd::client {
namespace {

template <class Print>
std::string printed(Print print) {
    const openssl::Bio bio{BIO_new(BIO_s_mem())};
    print(bio.get());
    std::array<char, 512> text{};
    const int length = BIO_read(bio.get(), text.data(), static_cast<int>(text.size()));
    return length > 0 ? printable({text.data(), static_cast<std::size_t>(length)}) : std::string{};
}

std::string name_of(const X509_NAME* name) {
    return printed([name](BIO* bio) {
        X509_NAME_print_ex(bio, name, 0,
                           XN_FLAG_ONELINE & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    });
}

std::string time_of(const ASN1_TIME* time) {
    return printed([time](BIO* bio) { ASN1_TIME_print(bio, time); });
}

ProblemKind kind_of(int number) {
    switch (number) {
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH:
            return ProblemKind::bad_host;
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return ProblemKind::expired;
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return ProblemKind::not_yet_valid;
        case X509_V_ERR_CA_MD_TOO_WEAK:
            return ProblemKind::insecure_sign_algo;
        case X509_V_ERR_EE_KEY_TOO_SMALL:
        case X509_V_ERR_CA_KEY_TOO_SMALL:
            return ProblemKind::weak_key;
        case X509_V_ERR_CERT_REVOKED:
            return ProblemKind::revoked;
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
        case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
        case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        case X509_V_ERR_CERT_UNTRUSTED:
            return ProblemKind::untrusted;
        default:
            return ProblemKind::unknown_error;
    }
}

std::string sentence_of(int number, int depth, X509* certificate) {
    std::string sentence = X509_verify_cert_error_string(number);
    if (depth > 0 && certificate != nullptr)
        sentence += " (in the chain: " + name_of(X509_get_subject_name(certificate)) + ")";
    return sentence;
}

// OpenSSL calls it for each certificate of the chain and for each problem.
int note_problem(int fine, X509_STORE_CTX* store) {
    if (fine == 1) return 1;
    auto* ssl =
        static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* peer = static_cast<PeerCertificate*>(SSL_get_app_data(ssl));
    const int number = X509_STORE_CTX_get_error(store);
    if (peer != nullptr && !peer->problem_numbers().contains(number))
        peer->problems.push_back({number, kind_of(number),
                                  sentence_of(number, X509_STORE_CTX_get_error_depth(store),
                                              X509_STORE_CTX_get_current_cert(store))});
    return 1;
}

std::string fingerprint_of(const X509* certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return {};
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
        text += digits[digest.at(i) >> 4U];
        text += digits[digest.at(i) & 15U];
    }
    return text;
}

bool is_address(const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

}  // namespace

std::string_view to_string(ProblemKind kind) {
    switch (kind) {
        case ProblemKind::bad_host:
            return "bad_host";
        case ProblemKind::untrusted:
            return "untrusted";
        case ProblemKind::expired:
            return "expired";
        case ProblemKind::not_yet_valid:
            return "not_yet_valid";
        case ProblemKind::insecure_sign_algo:
            return "insecure_sign_algo";
        case ProblemKind::weak_key:
            return "weak_key";
        case ProblemKind::revoked:
            return "revoked";
        case ProblemKind::unknown_error:
            return "unknown_error";
    }
    return "unknown_error";
}

std::set<int> PeerCertificate::problem_numbers() const {
    std::set<int> numbers;
    for (const CertificateProblem& problem : problems) numbers.insert(problem.number);
    return numbers;
}

void expect_host(SSL* ssl, const std::string& host) {
    if (is_address(host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
        return;
    }
    SSL_set_tlsext_host_name(ssl, host.c_str());
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(ssl, host.c_str());
}

void collect_problems(SSL* ssl, PeerCertificate* peer) {
    SSL_set_app_data(ssl, peer);
    SSL_set_verify(ssl, SSL_VERIFY_PEER, note_problem);
}

void describe(SSL* ssl, PeerCertificate& peer) {
    const X509* certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == nullptr) return;
    peer.fingerprint = fingerprint_of(certificate);
    peer.subject = name_of(X509_get_subject_name(certificate));
    peer.issuer = name_of(X509_get_issuer_name(certificate));
    peer.valid_from = time_of(X509_get0_notBefore(certificate));
    peer.valid_until = time_of(X509_get0_notAfter(certificate));
}

std::string tls_complaint() {
    const unsigned long number = ERR_peek_last_error();
    const char* reason = number != 0 ? ERR_reason_error_string(number) : nullptr;
    ERR_clear_error();
    if (reason != nullptr) return reason;
    if (errno != 0) return std::generic_category().message(errno);
    return "the connection was closed";
}

}  // namespace qvd::client
