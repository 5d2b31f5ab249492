#include "tests/client/test_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <csignal>
#include <stdexcept>

namespace qvd::testing {

std::string Peer::bytes() {
    if (!buffer_.empty()) return std::exchange(buffer_, {});
    std::array<char, 16384> chunk{};
    const int got = SSL_read(ssl_, chunk.data(), static_cast<int>(chunk.size()));
    return got > 0 ? std::string(chunk.data(), static_cast<std::size_t>(got)) : std::string{};
}

std::string Peer::request() {
    std::string head;
    for (;;) {
        const std::size_t end = head.find("\r\n\r\n");
        if (end != std::string::npos) {
            buffer_ = head.substr(end + 4);
            head.resize(end);
            requests_.note(head);
            return head;
        }
        const std::string more = bytes();
        if (more.empty()) return {};
        head += more;
    }
}

void Peer::record(const std::string& bytes) {
    SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
}

TestServer::TestServer(const Identity& identity, Conversation conversation)
    : context_(SSL_CTX_new(TLS_server_method())), conversation_(std::move(conversation)) {
    // A client may go while the server still talks.
    std::signal(SIGPIPE, SIG_IGN);
    SSL_CTX_use_certificate(context_, identity.certificate.get());
    SSL_CTX_use_PrivateKey(context_, identity.key.get());
    listen();
    thread_ = std::thread([this] { serve(); });
}

TestServer::~TestServer() {
    end();
    SSL_CTX_free(context_);
}

void TestServer::end() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
}

void TestServer::listen() {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* address = reinterpret_cast<sockaddr*>(&name);
    if (::bind(listener_.get(), address, size) != 0 || ::listen(listener_.get(), 8) != 0)
        throw std::runtime_error("the test server cannot listen");
    ::getsockname(listener_.get(), address, &size);
    port_ = ntohs(name.sin_port);
}

void TestServer::serve() {
    while (!ending_) {
        const UniqueFd fd{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (!fd) return;
        ++connections_;
        serve_one(fd.get());
    }
}

void TestServer::serve_one(int fd) {
    const timeval longest{20, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest);
    SSL* ssl = SSL_new(context_);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        Peer peer{ssl, fd, requests_};
        conversation_(peer);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
}

void Requests::note(const std::string& head) {
    const std::lock_guard guard{mutex_};
    heads_.push_back(head);
}

std::vector<std::string> Requests::all() const {
    const std::lock_guard guard{mutex_};
    return heads_;
}

std::string http_reply(int code, const std::string& body, const std::string& headers) {
    return "HTTP/1.1 " + std::to_string(code) + " Reason\r\nContent-Type: text/plain\r\n" +
           headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string progress_head(const std::string& text) {
    return "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: " + text + "\r\n\r\n";
}

}  // namespace qvd::testing
