#include "client/connection.hpp"

#include "client/resolve.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace qvd::client {
namespace {

Error broken_connection() {
    return {ErrorKind::unavailable, "network.broken", "the connection to the server broke"};
}

Result<UniqueFd> connect_to(const Address& address, const Patience& patience) {
    UniqueFd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!fd) return errno_error("network.socket", "cannot make a socket");
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket interface is made so
    const auto* name = reinterpret_cast<const sockaddr*>(&address.storage);
    if (::connect(fd.get(), name, address.size) != 0) {
        if (errno != EINPROGRESS) return errno_error("network.refused", "cannot connect");
        QVD_CHECK(wait_for(fd.get(), POLLOUT, patience));
        socklen_t size = sizeof(errno);
        if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &errno, &size) != 0 || errno != 0)
            return errno_error("network.refused", "cannot connect");
    }
    constexpr int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return fd;
}

}  // namespace

Result<Connection> Connection::open(const std::string& host, int port, const Patience& patience) {
    const std::string server = host + " port " + std::to_string(port);
    QVD_TRY(const std::vector<Address> addresses, resolve(host, port, patience));
    Error last = broken_connection();
    for (const Address& address : addresses) {
        Result<UniqueFd> fd = connect_to(address, patience);
        if (fd.ok()) {
            Connection connection;
            connection.fd_ = std::move(fd).value();
            return connection;
        }
        last = std::move(fd).error();
        if (last.kind() == ErrorKind::cancelled) return last;
    }
    return last.within(server);
}

Result<Connection> Connection::open_local(const std::string& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (path.size() >= sizeof name.sun_path)
        return Error{ErrorKind::invalid, "network.refused", path + " is too long for a socket"};
    std::memcpy(&name.sun_path, path.data(), path.size());
    Connection connection;
    connection.fd_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!connection.fd_) return errno_error("network.socket", "cannot make a socket");
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the socket interface is made so
    const auto* const address = reinterpret_cast<const sockaddr*>(&name);
    if (::connect(connection.fd_.get(), address, sizeof name) != 0)
        return errno_error("network.refused", "cannot connect to " + path);
    return connection;
}

Step Connection::step_of(int result) const {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return {Step::Outcome::wants_read};
        case SSL_ERROR_WANT_WRITE:
            return {Step::Outcome::wants_write};
        case SSL_ERROR_ZERO_RETURN:
            return {Step::Outcome::ended};
        default:
            return {Step::Outcome::broken};
    }
}

namespace {

Step plain_step(ssize_t result, Step::Outcome when_blocked) {
    if (result > 0) return {Step::Outcome::moved, static_cast<std::size_t>(result)};
    if (result == 0) return {Step::Outcome::ended};
    const bool blocked = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {blocked ? when_blocked : Step::Outcome::broken};
}

}  // namespace

Step Connection::try_read(char* buffer, std::size_t size) {
    if (!ssl_) return plain_step(::recv(fd_.get(), buffer, size, 0), Step::Outcome::wants_read);
    ERR_clear_error();
    std::size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), buffer, size, &got);
    return result == 1 ? Step{Step::Outcome::moved, got} : step_of(result);
}

Step Connection::try_write(std::string_view bytes) {
    if (!ssl_)
        return plain_step(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
                          Step::Outcome::wants_write);
    ERR_clear_error();
    std::size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    return result == 1 ? Step{Step::Outcome::moved, sent} : step_of(result);
}

void Connection::end_writing() {
    ERR_clear_error();
    if (ssl_) SSL_shutdown(ssl_.get());
    ::shutdown(fd_.get(), SHUT_WR);
}

Result<void> Connection::wait_for_step(const Step& step, const Patience& patience) const {
    if (step.outcome == Step::Outcome::broken) return broken_connection();
    return wait_for(fd_.get(), step.outcome == Step::Outcome::wants_read ? POLLIN : POLLOUT,
                    patience);
}

Result<std::string> Connection::read(const Patience& patience) {
    std::array<char, 16384> buffer{};
    for (;;) {
        const Step step = try_read(buffer.data(), buffer.size());
        if (step.outcome == Step::Outcome::moved) return std::string(buffer.data(), step.bytes);
        if (step.outcome == Step::Outcome::ended) return std::string{};
        QVD_CHECK(wait_for_step(step, patience));
    }
}

Result<void> Connection::write(std::string_view bytes, const Patience& patience) {
    while (!bytes.empty()) {
        const Step step = try_write(bytes);
        if (step.outcome == Step::Outcome::ended) return broken_connection();
        if (step.outcome == Step::Outcome::moved) {
            bytes.remove_prefix(step.bytes);
            continue;
        }
        QVD_CHECK(wait_for_step(step, patience));
    }
    return {};
}

Result<void> Connection::start_tls(SSL_CTX* context, const std::string& host,
                                   const Patience& patience) {
    ssl_.reset(SSL_new(context));
    if (!ssl_ || SSL_set_fd(ssl_.get(), fd_.get()) != 1)
        return Error{ErrorKind::internal, "internal.tls", tls_complaint()};
    expect_host(ssl_.get(), host);
    collect_problems(ssl_.get(), peer_.get());
    for (;;) {
        ERR_clear_error();
        const int result = SSL_connect(ssl_.get());
        if (result == 1) break;
        const Step step = step_of(result);
        if (step.outcome == Step::Outcome::broken || step.outcome == Step::Outcome::ended)
            return Error{ErrorKind::unavailable, "network.tls",
                         host + " does not complete the TLS handshake: " + tls_complaint()};
        QVD_CHECK(wait_for_step(step, patience));
    }
    describe(ssl_.get(), *peer_);
    return {};
}

}  // namespace qvd::client
