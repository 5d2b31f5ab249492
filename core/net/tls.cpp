#include "net/tls.hpp"

#include "base/file.hpp"
#include "base/openssl.hpp"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <cstring>
#include <string_view>
#include <utility>

namespace qvd::net {

namespace {

using openssl::reader_of;

constexpr long ticket_seconds = 7200;

Error tls_error(std::string code, const std::string& what) {
    std::string why = tls_error_text();
    return {ErrorKind::invalid, std::move(code), why.empty() ? what : what + ": " + why};
}

// An encrypted key must fail, not ask the terminal.
int no_password(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) {
    return -1;
}

Result<void> use_certificate(SSL_CTX* context, const std::string& pem) {
    const openssl::Bio reader = reader_of(pem);
    const openssl::Certificate leaf(PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr));
    if (!leaf) return tls_error("tls.certificate", "l7r.ssl.cert holds no PEM certificate");
    if (SSL_CTX_use_certificate(context, leaf.get()) != 1)
        return tls_error("tls.certificate", "the certificate of l7r.ssl.cert cannot be used");
    while (true) {
        openssl::Certificate next(PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr));
        if (!next) break;
        if (SSL_CTX_add0_chain_cert(context, next.get()) != 1)
            return tls_error("tls.certificate", "a chain certificate of l7r.ssl.cert is refused");
        static_cast<void>(next.release());  // now the context's
    }
    ERR_clear_error();  // "no start line" is how the end of the chain looks
    return {};
}

Result<void> use_key(SSL_CTX* context, const Secret& pem) {
    const openssl::Bio reader = reader_of(pem.reveal());
    const openssl::Key key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_password, nullptr));
    if (!key) {
        return tls_error(
            "tls.key", "l7r.ssl.key holds no PEM private key that can be read without a password");
    }
    // SSL_CTX_use_PrivateKey() already refuses some keys of another certificate.
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1)
        return tls_error("tls.key_mismatch", "l7r.ssl.key is not the key of l7r.ssl.cert");
    return {};
}

Result<void> trust_client_ca(SSL_CTX* context, const std::string& pem) {
    const openssl::Bio reader = reader_of(pem);
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    int count = 0;
    while (true) {
        const openssl::Certificate authority(
            PEM_read_bio_X509(reader.get(), nullptr, no_password, nullptr));
        if (!authority) break;
        if (X509_STORE_add_cert(store, authority.get()) != 1 ||
            SSL_CTX_add_client_CA(context, authority.get()) != 1)
            return tls_error("tls.client_ca", "a certificate of l7r.ssl.ca cannot be used");
        ++count;
    }
    if (count == 0 && pem.empty())
        return tls_error("tls.client_ca", "l7r.client.cert.require is set, and l7r.ssl.ca is not");
    if (count == 0) return tls_error("tls.client_ca", "l7r.ssl.ca holds no PEM certificate");
    ERR_clear_error();
    return {};
}

Result<void> use_crl(SSL_CTX* context, const std::string& pem) {
    const openssl::Bio reader = reader_of(pem);
    X509_STORE* const store = SSL_CTX_get_cert_store(context);
    int count = 0;
    while (true) {
        const openssl::Crl crl(PEM_read_bio_X509_CRL(reader.get(), nullptr, no_password, nullptr));
        if (!crl) break;
        if (X509_STORE_add_crl(store, crl.get()) != 1)
            return tls_error("tls.client_crl", "a list of l7r.ssl.crl cannot be used");
        ++count;
    }
    if (count == 0) return tls_error("tls.client_crl", "l7r.ssl.crl holds no PEM revocation list");
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return {};
}

Result<void> require_client(SSL_CTX* context, const Configure& configure) {
    QVD_CHECK(trust_client_ca(context, configure.client_ca));
    if (!configure.client_crl.empty()) QVD_CHECK(use_crl(context, configure.client_crl));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    return {};
}

// Clients built with a current libcurl offer "h2,http/1.1"; the relay cannot speak h2.
int select_protocol(SSL* /*ssl*/, const unsigned char** out, unsigned char* out_length,
                    const unsigned char* offered, unsigned int offered_length, void* /*user*/) {
    constexpr std::string_view ours = "http/1.1";
    for (unsigned int at = 0; at < offered_length; at += 1U + offered[at]) {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's text is unsigned
        const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), offered[at]);
        if (name != ours) continue;
        *out = offered + at + 1;
        *out_length = offered[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

using Digest = std::array<unsigned char, EVP_MAX_MD_SIZE>;

Digest sha512(const std::string& text) {
    Digest digest{};
    EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha512(), nullptr);
    return digest;
}

// A session may be resumed only under the material it began with: a new revocation list must count.
void bind_sessions(SSL_CTX* context, const Configure& configure) {
    const Digest digest =
        sha512(configure.certificate + '\0' + configure.client_ca + '\0' + configure.client_crl +
               (configure.require_client_certificate ? '1' : '0'));
    SSL_CTX_set_session_id_context(context, digest.data(), SSL_MAX_SID_CTX_LENGTH);
}

// The workers of a broker share its secret, so that a client may resume at any of them.
void share_tickets(SSL_CTX* context, const Secret& secret) {
    if (secret.empty()) return;
    std::array<unsigned char, 80> keys{};  // OpenSSL's: a name of 16 bytes, HMAC 32, AES 32
    const std::string text(secret.reveal());
    const Digest first = sha512(text + "1");
    const Digest second = sha512(text + "2");
    std::memcpy(keys.data(), first.data(), 64);
    std::memcpy(keys.data() + 64, second.data(), 16);
    SSL_CTX_set_tlsext_ticket_keys(context, keys.data(), static_cast<long>(keys.size()));
}

void set_behaviour(SSL_CTX* context) {
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    // Clients end their session by closing the socket as often as by close_notify.
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    // Tickets only: a cache would be memory that strangers fill.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, ticket_seconds);
    SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_alpn_select_cb(context, select_protocol, nullptr);
}

}  // namespace

std::string tls_error_text() {
    std::string text;
    const char* data = nullptr;
    int flags = 0;
    // Of several, the last says most about what was asked.
    while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
        const char* const reason = ERR_reason_error_string(code);
        text = reason != nullptr ? reason : "error " + std::to_string(code);
        if ((flags & ERR_TXT_STRING) != 0 && data != nullptr && *data != '\0')
            text += std::string(" (") + data + ")";
    }
    return text;
}

bool kernel_has_tls() {
    const Result<std::string> offered = file::read("/proc/sys/net/ipv4/tcp_available_ulp");
    return offered.ok() && (" " + offered.value()).find(" tls") != std::string::npos;
}

bool are_ciphers(std::string_view words) {
    ERR_clear_error();
    const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    const bool found =
        context && SSL_CTX_set_cipher_list(context.get(), std::string(words).c_str()) == 1;
    ERR_clear_error();
    return found;
}

Result<TlsContext> TlsContext::make(const Configure& configure, bool kernel_tls) {
    ERR_clear_error();
    const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    if (!context) return tls_error("tls.unavailable", "OpenSSL gives no context");
    set_behaviour(context.get());
    QVD_CHECK(use_certificate(context.get(), configure.certificate));
    QVD_CHECK(use_key(context.get(), configure.key));
    if (!configure.ciphers.empty() &&
        SSL_CTX_set_cipher_list(context.get(), configure.ciphers.c_str()) != 1)
        return tls_error("tls.ciphers", "l7r.ssl.options.SSL_cipher_list \"" + configure.ciphers +
                                            "\" names no cipher of this machine");
    if (configure.require_client_certificate) QVD_CHECK(require_client(context.get(), configure));
    bind_sessions(context.get(), configure);
    share_tickets(context.get(), configure.ticket_secret);
    TlsContext tls(context);
    tls.kernel_tls_ = kernel_tls;
    if (tls.kernel_tls_)
        SSL_CTX_set_options(context.get(), SSL_OP_ENABLE_KTLS);
    else
        SSL_CTX_set_read_ahead(context.get(), 1);
    return tls;
}

}  // namespace qvd::net
