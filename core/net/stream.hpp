// A client's socket, plain or TLS, for a loop that never blocks. What OpenSSL writes is gathered in
// a buffer that the whole thread shares and sent in one go; a stream owns memory for its output
// only while the socket does not take it.
#pragma once

#include "base/unique_fd.hpp"
#include "net/tls.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qvd::net {

class Stream {
public:
    // `closed`: the other side said that nothing more comes; `failed`: the connection is broken.
    enum class Status { ok, would_block, closed, failed };
    struct Read {
        Status status = Status::would_block;
        std::size_t bytes = 0;
    };

    // The socket is connected and non-blocking.
    explicit Stream(UniqueFd socket);
    Stream(UniqueFd socket, const TlsContext& context);

    // To be called until it says ok; plain streams are ok at once.
    Status handshake();
    // The ClientHello has come: whoever it is, he speaks TLS.
    [[nodiscard]] bool greeted() const;
    [[nodiscard]] bool is_plain() const noexcept { return !ssl_; }
    [[nodiscard]] bool has_client_certificate() const;
    // For the log: "TLSv1.3", "TLSv1.2 resumed", "TLSv1.3 in the kernel", "plain".
    [[nodiscard]] std::string describe() const;

    // To be called until it says would_block: no event announces what OpenSSL has received already.
    Read read(std::span<char> buffer);
    // How many bytes were taken; the others must be offered again first, once the socket is
    // writable. 0 also when broken: see failed().
    std::size_t write(std::string_view bytes);
    // Sends what was taken and has not left; ok once nothing is left.
    Status flush();
    // Says that nothing more comes, once everything taken has left.
    void shutdown_write();

    // What to wait for on the socket.
    [[nodiscard]] bool wants_write() const noexcept { return unsent() > 0 || blocked_on_write_; }
    // False while the other side makes us answer (alerts, key updates) without reading.
    [[nodiscard]] bool may_read() const noexcept { return unsent() < unsent_limit; }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    // Why it failed, for the log.
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }
    [[nodiscard]] int socket() const noexcept { return socket_.get(); }

private:
    static constexpr std::size_t unsent_limit = std::size_t{128} * 1024;

    struct FreeSsl {
        void operator()(SSL* ssl) const;
    };

    [[nodiscard]] std::size_t unsent() const noexcept { return backlog_.size() - backlog_sent_; }
    Status outcome_of(int result);
    Status send_gathered();
    Status send_backlog();
    std::size_t send_some(std::string_view bytes);
    std::size_t write_plain(std::string_view bytes);
    Status fail(std::string why);

    UniqueFd socket_;
    std::unique_ptr<SSL, FreeSsl> ssl_;
    bool kernel_tls_ = false;
    bool blocked_on_write_ = false;
    bool shutdown_wanted_ = false;
    bool shutdown_done_ = false;
    bool failed_ = false;
    std::size_t backlog_sent_ = 0;
    std::string backlog_;  // encrypted
    std::string failure_;
};

}  // namespace qvd::net
