#include "net/stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace qvd::net {

namespace {

// What OpenSSL wrote since the last send: several records that leave together. Empty between calls.
std::string& gathered() {
    thread_local std::string bytes;
    return bytes;
}

int gather(BIO* /*bio*/, const char* bytes, int length) {
    if (length <= 0) return 0;
    gathered().append(bytes, static_cast<std::size_t>(length));
    return length;
}

long gather_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* gathering() {
    static const BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gather");
        BIO_meth_set_write(made, gather);
        BIO_meth_set_ctrl(made, gather_control);
        BIO_meth_set_create(made, [](BIO* bio) {
            BIO_set_init(bio, 1);
            return 1;
        });
        return made;
    }();
    return method;
}

bool would_block(int number) {
    return number == EAGAIN || number == EWOULDBLOCK;
}

std::string errno_text(int number) {
    return std::generic_category().message(number);
}

}  // namespace

void Stream::FreeSsl::operator()(SSL* ssl) const {
    SSL_free(ssl);
}

Stream::Stream(UniqueFd socket) : socket_(std::move(socket)) {
}

Stream::Stream(UniqueFd socket, const TlsContext& context)
    : socket_(std::move(socket)), ssl_(SSL_new(context.get())), kernel_tls_(context.kernel_tls()) {
    if (!ssl_) {
        fail("OpenSSL gives no connection");
        return;
    }
    SSL_set_accept_state(ssl_.get());
    if (kernel_tls_) {
        SSL_set_fd(ssl_.get(), socket_.get());
        SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
    } else {
        SSL_set_bio(ssl_.get(), BIO_new_socket(socket_.get(), BIO_NOCLOSE), BIO_new(gathering()));
    }
}

Stream::Status Stream::handshake() {
    if (failed_) return Status::failed;
    if (!ssl_ || SSL_is_init_finished(ssl_.get()) == 1) return Status::ok;
    ERR_clear_error();
    const Status status = outcome_of(SSL_do_handshake(ssl_.get()));
    // A client that leaves in the middle of a handshake has not closed a conversation.
    if (status == Status::closed) return fail("left during the handshake");
    return status;
}

bool Stream::greeted() const {
    return !ssl_ || (SSL_get_state(ssl_.get()) != TLS_ST_BEFORE &&
                     SSL_get_state(ssl_.get()) != TLS_ST_SR_CLNT_HELLO);
}

bool Stream::has_client_certificate() const {
    return ssl_ && SSL_get0_peer_certificate(ssl_.get()) != nullptr &&
           SSL_get_verify_result(ssl_.get()) == X509_V_OK;
}

std::string Stream::describe() const {
    if (!ssl_) return "plain";
    std::string text = SSL_get_version(ssl_.get());
    if (SSL_session_reused(ssl_.get()) == 1) text += " resumed";
    if (kernel_tls_ && BIO_get_ktls_send(SSL_get_wbio(ssl_.get()))) text += " in the kernel";
    return text;
}

Stream::Read Stream::read(std::span<char> buffer) {
    if (failed_) return {Status::failed, 0};
    if (!may_read()) return {Status::would_block, 0};
    if (!ssl_) {
        const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (received > 0) return {Status::ok, static_cast<std::size_t>(received)};
        if (received == 0) return {Status::closed, 0};
        if (would_block(errno) || errno == EINTR) return {Status::would_block, 0};
        return {fail(errno_text(errno)), 0};
    }
    ERR_clear_error();
    std::size_t length = 0;
    const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &length);
    return {outcome_of(result), length};
}

Stream::Status Stream::outcome_of(int result) {
    // errno and OpenSSL's queue are judged before send() changes them.
    const int number = errno;
    const int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    blocked_on_write_ = why == SSL_ERROR_WANT_WRITE;
    std::string text;
    if (why == SSL_ERROR_SSL) text = tls_error_text();
    if (why == SSL_ERROR_SYSCALL) text = number != 0 ? errno_text(number) : "closed without a word";
    if (send_gathered() == Status::failed) return Status::failed;
    switch (why) {
        case SSL_ERROR_NONE:
            return Status::ok;
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return Status::would_block;
        case SSL_ERROR_ZERO_RETURN:
            return Status::closed;
        default:
            return fail(text.empty() ? "TLS failed" : std::move(text));
    }
}

std::size_t Stream::write(std::string_view bytes) {
    if (failed_ || unsent() > 0 || bytes.empty()) return 0;
    if (!ssl_) return write_plain(bytes);
    ERR_clear_error();
    std::size_t length = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &length);
    return outcome_of(result) == Status::ok ? length : 0;
}

std::size_t Stream::write_plain(std::string_view bytes) {
    const std::size_t sent = send_some(bytes);
    blocked_on_write_ = sent < bytes.size() && !failed_;
    return sent;
}

std::size_t Stream::send_some(std::string_view bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
        const ssize_t now =
            ::send(socket_.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
        if (now >= 0) {
            sent += static_cast<std::size_t>(now);
        } else if (would_block(errno)) {
            break;
        } else if (errno != EINTR) {
            fail(errno_text(errno));
            break;
        }
    }
    return sent;
}

Stream::Status Stream::send_gathered() {
    std::string& records = gathered();
    if (records.empty()) return Status::ok;
    const std::size_t sent = unsent() > 0 ? 0 : send_some(records);
    if (!failed_ && sent < records.size()) backlog_.append(records, sent);
    records.clear();
    return failed_ ? Status::failed : Status::ok;
}

Stream::Status Stream::send_backlog() {
    if (unsent() == 0) return Status::ok;
    backlog_sent_ += send_some(std::string_view(backlog_).substr(backlog_sent_));
    if (failed_) return Status::failed;
    if (unsent() > 0) return Status::would_block;
    backlog_ = std::string();
    backlog_sent_ = 0;
    return Status::ok;
}

Stream::Status Stream::flush() {
    if (failed_) return Status::failed;
    const Status status = send_backlog();
    if (status != Status::ok) return status;
    // Until the caller offers the rest again there is nothing to wait for.
    blocked_on_write_ = false;
    if (shutdown_wanted_) shutdown_write();
    return Status::ok;
}

void Stream::shutdown_write() {
    shutdown_wanted_ = true;
    if (failed_ || shutdown_done_ || unsent() > 0) return;
    if (ssl_ && SSL_is_init_finished(ssl_.get()) == 1) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
        if (send_gathered() == Status::failed || unsent() > 0) return;
    }
    shutdown_done_ = true;
    ::shutdown(socket_.get(), SHUT_WR);
}

Stream::Status Stream::fail(std::string why) {
    failed_ = true;
    failure_ = std::move(why);
    gathered().clear();
    backlog_ = std::string();
    backlog_sent_ = 0;
    return Status::failed;
}

}  // namespace qvd::net
