// The one connection to the server: TCP, TLS over it unless it is switched off.
#pragma once

#include "client/certificate.hpp"
#include "client/wait.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>

namespace qvd::client {

struct SslDeleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslContext = std::unique_ptr<SSL_CTX, SslDeleter>;

struct TlsSettings {
    std::string authorities_folder;  // more CAs than the system's; may not exist
    std::string certificate_file;    // the client's own, PEM; empty: none
    std::string key_file;
};

// Errors: certificate.own (the client's own cannot be read or do not fit together), internal.tls.
Result<SslContext> make_tls_context(const TlsSettings& settings);

// What one attempt to move bytes came to.
struct Step {
    enum class Outcome { moved, wants_read, wants_write, ended, broken };
    Outcome outcome = Outcome::moved;
    std::size_t bytes = 0;
};

// Never blocks but in open(), start_tls(), read() and write(), and there no longer than told.
class Connection {
public:
    // Tries each address of `host`. Errors: network.*, stopped.
    static Result<Connection> open(const std::string& host, int port, const Patience& patience);
    // To a local socket, in place of a server. Errors: network.refused.
    static Result<Connection> open_local(const std::string& path);
    // Errors: network.tls, network.timeout, stopped. What is wrong with the certificate is no error
    // here but in `peer()`: send nothing before it has been judged.
    Result<void> start_tls(SSL_CTX* context, const std::string& host, const Patience& patience);
    [[nodiscard]] const PeerCertificate& peer() const { return *peer_; }

    // At least one byte, or none if the server closed. Errors: network.*, stopped.
    Result<std::string> read(const Patience& patience);
    // All of it. Errors: network.*, stopped.
    Result<void> write(std::string_view bytes, const Patience& patience);

    [[nodiscard]] Step try_read(char* buffer, std::size_t size);
    [[nodiscard]] Step try_write(std::string_view bytes);
    // Says to the server that nothing more will come; does not wait.
    void end_writing();
    [[nodiscard]] int fd() const { return fd_.get(); }
    // Bytes are decrypted and waiting: poll() would not tell.
    [[nodiscard]] bool has_pending() const { return ssl_ && SSL_pending(ssl_.get()) > 0; }

private:
    [[nodiscard]] Step step_of(int result) const;
    Result<void> wait_for_step(const Step& step, const Patience& patience) const;

    UniqueFd fd_;
    std::unique_ptr<SSL, SslDeleter> ssl_;
    // On the heap: OpenSSL's callback holds its address while the connection moves.
    std::unique_ptr<PeerCertificate> peer_ = std::make_unique<PeerCertificate>();
};

}  // namespace qvd::client
