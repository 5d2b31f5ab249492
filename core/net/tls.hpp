// The server side of TLS, from the material of a Configure frame: TLS 1.2 and 1.3, never h2, no
// renegotiation, sessions resumed by tickets.
#pragma once

#include "net/frames.hpp"

#include <openssl/types.h>

#include <memory>
#include <string>
#include <string_view>

namespace qvd::net {

// One set of certificates. A changed one is a new TlsContext; connections keep the one they began
// with. Copies share it. One thread.
class TlsContext {
public:
    // Errors (the sentence says which of the operator's PEM texts is wrong and why):
    // tls.certificate, tls.key, tls.key_mismatch, tls.client_ca, tls.client_crl, tls.ciphers.
    // `kernel_tls`: what kernel_has_tls() said.
    static Result<TlsContext> make(const Configure& configure, bool kernel_tls);

    [[nodiscard]] SSL_CTX* get() const noexcept { return context_.get(); }
    // Whether the kernel can encrypt (kTLS); then OpenSSL writes to the socket itself.
    [[nodiscard]] bool kernel_tls() const noexcept { return kernel_tls_; }

private:
    explicit TlsContext(std::shared_ptr<SSL_CTX> context) : context_(std::move(context)) {}

    std::shared_ptr<SSL_CTX> context_;
    bool kernel_tls_ = false;
};

// Whether OpenSSL finds a cipher of TLS 1.2 in `words`, a list in its own language.
[[nodiscard]] bool are_ciphers(std::string_view words);

// What OpenSSL says about the calling thread's last failure; empties its queue.
[[nodiscard]] std::string tls_error_text();

// Whether this kernel offers TLS as an upper layer of TCP right now (its module "tls" is loaded).
// Reads a file: to be asked before the process is confined.
[[nodiscard]] bool kernel_has_tls();

}  // namespace qvd::net
