// The little HTTP/1.1 server that the agent's protocol needs: GET without a body, bounded in
// everything, one thread.
#pragma once

#include "base/result.hpp"
#include "vma/loop.hpp"

#include <functional>
#include <memory>
#include <set>
#include <string>

namespace qvd::vma {

struct HttpRequest {
    std::string target;
    std::string authorization;  // the header's value, empty without one
    std::string upgrade;        // what the connection shall become; empty: stay what it is
    bool upgrades = false;      // Connection: Upgrade
    bool keep_alive = true;
};

struct HttpAnswer {
    int status = 200;
    std::string content_type = "text/plain";
    std::string body;  // of 101: what is under way, in one sentence
    // Of 101: what the connection becomes; of 426: what it would have to.
    std::string upgrade;
    // Of 101: gets the connection once the answer has been sent.
    std::function<void(UniqueFd)> take_over;
};

// A complete head, up to and with its empty line; CR LF or LF. Errors: http.400, http.405,
// http.413, http.505; the code is the status to answer with.
Result<HttpRequest> parse_request_head(std::string_view head);
// Where the head in `bytes` ends; npos if it is not complete yet.
std::size_t end_of_head(std::string_view bytes);

std::string encode_answer(const HttpAnswer& answer, bool keep_alive);
// Of 101, with the 102 that goes before it.
std::string encode_upgrade(const HttpAnswer& answer);

class HttpServer {
public:
    using Handler = std::function<Task<HttpAnswer>(HttpRequest)>;

    struct Limits {
        std::size_t head_bytes = 16U << 10U;
        std::size_t connections = 64;     // further ones wait in the kernel's queue
        Milliseconds head_time{10'000};   // for a head to be complete, and for an idle connection
        Milliseconds write_time{10'000};  // for an answer to be taken
    };

    HttpServer(Loop& loop, Limits limits, Handler handler)
        : loop_(loop), limits_(limits), handler_(std::move(handler)) {}
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    ~HttpServer();

    // "*" is every address, IPv4 and IPv6; port 0 any free one. Errors: vma.listen.
    Result<void> listen(const std::string& address, std::uint16_t port);
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::size_t connections() const { return connections_.size(); }

private:
    class Connection;

    void accept();
    void end(Connection* connection);
    void set_accepting(bool accepting);

    Loop& loop_;
    Limits limits_;
    Handler handler_;
    UniqueFd listener_;
    Loop::Handle listening_ = 0;
    std::uint16_t port_ = 0;
    std::set<std::shared_ptr<Connection>> connections_;
};

}  // namespace qvd::vma
