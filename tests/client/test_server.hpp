// A TLS server that speaks the client's dialogue as a test tells it to.
#pragma once

#include "base/unique_fd.hpp"
#include "tests/client/certificates.hpp"

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace qvd::testing {

// One accepted connection. All calls block, 20 s at the longest.
// Each request head that any client sent.
class Requests {
public:
    void note(const std::string& head);
    [[nodiscard]] std::vector<std::string> all() const;

private:
    mutable std::mutex mutex_;  // guards heads_
    std::vector<std::string> heads_;
};

class Peer {
public:
    Peer(SSL* ssl, int fd, Requests& requests) : ssl_(ssl), fd_(fd), requests_(requests) {}

    // The next request's head, without the empty line; it is noted. Empty once the client has gone.
    std::string request();
    // One TLS record of exactly these bytes.
    void record(const std::string& bytes);
    // What arrives next; empty once the client has gone.
    std::string bytes();
    [[nodiscard]] SSL* ssl() const { return ssl_; }
    [[nodiscard]] int fd() const { return fd_; }

private:
    SSL* ssl_;
    int fd_;
    Requests& requests_;
    std::string buffer_;
};

class TestServer {
public:
    using Conversation = std::function<void(Peer&)>;

    // Holds `conversation` with every client that comes, one after the other, on a free port of
    // 127.0.0.1.
    TestServer(const Identity& identity, Conversation conversation);
    ~TestServer();
    TestServer(const TestServer&) = delete;
    TestServer& operator=(const TestServer&) = delete;

    [[nodiscard]] int port() const { return port_; }
    // How many TCP connections came.
    [[nodiscard]] int connections() const { return connections_; }
    [[nodiscard]] std::vector<std::string> requests() const { return requests_.all(); }
    // Ends the conversations: what they wrote can be looked at.
    void end();

private:
    void listen();
    void serve();
    void serve_one(int fd);

    SSL_CTX* context_;
    Conversation conversation_;
    UniqueFd listener_;
    int port_ = 0;
    std::atomic<bool> ending_{false};
    std::atomic<int> connections_{0};
    Requests requests_;
    std::thread thread_;
};

// "HTTP/1.1 CODE reason", headers, body with its length.
std::string http_reply(int code, const std::string& body, const std::string& headers = "");
std::string progress_head(const std::string& text);
inline const std::string switching_head =
    "HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: abc\r\n\r\n";

}  // namespace qvd::testing
