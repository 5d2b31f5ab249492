#include "vma/http_server.hpp"

#include "base/text.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace qvd::vma {

namespace {

Error wrong(int status, std::string_view sentence) {
    return {ErrorKind::invalid, "http." + std::to_string(status), std::string(sentence)};
}

std::string_view reason_of(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 413:
            return "Content Too Large";
        case 426:
            return "Upgrade Required";
        case 431:
            return "Request Header Fields Too Large";
        case 503:
            return "Service Unavailable";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Internal Server Error";
    }
}

// One line without its end; takes it off `head`.
std::string_view take_line(std::string_view& head) {
    const std::size_t end = head.find('\n');
    std::string_view line = head.substr(0, end);
    head.remove_prefix(end == std::string_view::npos ? head.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

Result<HttpRequest> parse_request_line(std::string_view line) {
    const std::vector<std::string> words = text::split(line, ' ');
    if (words.size() != 3 || words[1].empty()) return wrong(400, "the request line is malformed");
    if (!words[2].starts_with("HTTP/")) return wrong(400, "the request line is malformed");
    if (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0")
        return wrong(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    if (words[0] != "GET") return wrong(405, "only GET is answered here");
    HttpRequest request;
    request.target = words[1];
    request.keep_alive = words[2] == "HTTP/1.1";
    return request;
}

Result<void> take_header(HttpRequest& request, std::string_view line) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0)
        return wrong(400, "a header line is malformed");
    const std::string name = text::lower(line.substr(0, colon));
    const std::string value(text::trim(line.substr(colon + 1)));
    if (name == "authorization") request.authorization = value;
    if (name == "connection" && text::equals_ignoring_case(value, "close"))
        request.keep_alive = false;
    if (name == "connection" && text::equals_ignoring_case(value, "keep-alive"))
        request.keep_alive = true;
    if (name == "upgrade") request.upgrade = value;
    if (name == "connection")
        for (const std::string& word : text::split_list(value, ','))
            request.upgrades |= text::equals_ignoring_case(word, "upgrade");
    if (name == "transfer-encoding" || (name == "content-length" && value != "0"))
        return wrong(413, "requests here have no body");
    return {};
}

}  // namespace

std::size_t end_of_head(std::string_view bytes) {
    // Blank lines before a request do not end it.
    std::size_t at = bytes.find_first_not_of("\r\n");
    while (at != std::string_view::npos && at < bytes.size()) {
        const std::size_t line_end = bytes.find('\n', at);
        if (line_end == std::string_view::npos) return line_end;
        const std::string_view line = bytes.substr(at, line_end - at);
        at = line_end + 1;
        if (line.empty() || line == "\r") return at;
    }
    return std::string_view::npos;
}

Result<HttpRequest> parse_request_head(std::string_view head) {
    head.remove_prefix(std::min(head.find_first_not_of("\r\n"), head.size()));
    QVD_TRY(HttpRequest request, parse_request_line(take_line(head)));
    for (std::string_view line = take_line(head); !line.empty(); line = take_line(head)) {
        if (line.front() == ' ' || line.front() == '\t') continue;  // folded: nothing we need
        QVD_CHECK(take_header(request, line));
    }
    if (!request.upgrades) request.upgrade.clear();
    return request;
}

std::string encode_upgrade(const HttpAnswer& answer) {
    return "HTTP/1.1 102 Processing\r\nX-QVD-VMA-Info: " + answer.body +
           "\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " +
           answer.upgrade + "\r\n\r\n";
}

std::string encode_answer(const HttpAnswer& answer, bool keep_alive) {
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                       std::string(reason_of(answer.status)) +
                       "\r\nContent-Type: " + answer.content_type +
                       "\r\nContent-Length: " + std::to_string(answer.body.size()) + "\r\n";
    if (answer.status == 401) text += "WWW-Authenticate: Bearer\r\n";
    if (answer.status == 426) text += "Upgrade: " + answer.upgrade + "\r\n";
    text += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
    return text + answer.body;
}

// One client: reads a head, has it answered, writes the answer, and again.
class HttpServer::Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(HttpServer& server, UniqueFd socket)
        : server_(&server), socket_(std::move(socket)) {}
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() = default;

    void await_request() {
        expect(POLLIN, server_->limits_.head_time, [this](short) { read(); });
        // What came with the request before.
        if (end_of_head(input_) != std::string::npos) use_head();
    }

    // The server goes away, an answer may still be on its way.
    void detach() {
        rest();
        server_ = nullptr;
    }

private:
    void expect(short events, Milliseconds time, Loop::Ready ready) {
        rest();
        watch_ = server_->loop_.watch(socket_.get(), events, std::move(ready));
        timer_ = server_->loop_.after(time, [this] { server_->end(this); });
    }

    void rest() {
        if (server_ == nullptr) return;
        server_->loop_.remove(std::exchange(watch_, 0));
        server_->loop_.remove(std::exchange(timer_, 0));
    }

    void read() {
        std::array<char, 4096> buffer{};
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (got <= 0) return server_->end(this);
        input_.append(buffer.data(), static_cast<std::size_t>(got));
        if (end_of_head(input_) != std::string::npos)
            use_head();
        else if (input_.size() > server_->limits_.head_bytes)
            refuse(wrong(431, "the request head is too long"));
    }

    void use_head() {
        const std::size_t end = end_of_head(input_);
        if (end > server_->limits_.head_bytes)
            return refuse(wrong(431, "the request head is too long"));
        const Result<HttpRequest> request = parse_request_head(input_.substr(0, end));
        if (!request.ok()) return refuse(request.error());
        input_.erase(0, end);
        keep_alive_ = request->keep_alive;
        rest();
        server_->loop_.start(answer(shared_from_this(), *request));
    }

    static Task<void> answer(std::shared_ptr<Connection> self, HttpRequest request) {
        auto handling = self->server_->handler_(std::move(request));
        HttpAnswer answered = co_await std::move(handling);
        if (self->server_ == nullptr) co_return;
        self->take_over_ = std::move(answered.take_over);
        // Who gets the connection would not get what has been read of it.
        if (self->take_over_ && !self->input_.empty())
            self->refuse(
                wrong(400, "nothing may follow a request to upgrade until it is answered"));
        else
            self->send(self->take_over_ ? encode_upgrade(answered)
                                        : encode_answer(answered, self->keep_alive_));
    }

    void refuse(const Error& error) {
        keep_alive_ = false;
        take_over_ = nullptr;
        const auto status = text::to_integer(error.code().substr(5)).value_or(400);
        send(encode_answer(
            {static_cast<int>(status), "text/plain", error.sentence() + "\r\n", {}, {}}, false));
    }

    void send(std::string output) {
        output_ = std::move(output);
        expect(POLLOUT, server_->limits_.write_time, [this](short) { write(); });
    }

    void write() {
        const ssize_t sent =
            ::send(socket_.get(), output_.data(), output_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (sent < 0) return server_->end(this);
        output_.erase(0, static_cast<std::size_t>(sent));
        if (!output_.empty()) return;
        if (take_over_) return give_away();
        if (keep_alive_) return await_request();
        // So that the answer is not lost to a reset if the client has sent more than we read.
        ::shutdown(socket_.get(), SHUT_WR);
        expect(POLLIN, Milliseconds{1000}, [this](short) { drain(); });
    }

    void give_away() {
        rest();
        const auto take_over = std::move(take_over_);
        UniqueFd connection = std::move(socket_);
        server_->end(this);
        take_over(std::move(connection));
    }

    void drain() {
        std::array<char, 4096> buffer{};
        if (::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) <= 0)
            server_->end(this);
    }

    HttpServer* server_;  // null once it is gone
    UniqueFd socket_;
    std::string input_;
    std::string output_;
    bool keep_alive_ = true;
    std::function<void(UniqueFd)> take_over_;
    Loop::Handle watch_ = 0;
    Loop::Handle timer_ = 0;
};

HttpServer::~HttpServer() {
    set_accepting(false);
    for (const auto& connection : connections_) connection->detach();
}

namespace {

Result<UniqueFd> bound_socket(const sockaddr* address, socklen_t length, bool both_families) {
    UniqueFd socket{::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!socket) return errno_error("vma.listen", "cannot open a socket");
    const int on = 1;
    const int off = both_families ? 0 : 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (::bind(socket.get(), address, length) != 0 || ::listen(socket.get(), 128) != 0)
        return errno_error("vma.listen", "cannot listen");
    return socket;
}

Result<UniqueFd> open_listener(const std::string& address, std::uint16_t port) {
    sockaddr_in6 six{};
    six.sin6_family = AF_INET6;
    six.sin6_port = htons(port);
    sockaddr_in four{};
    four.sin_family = AF_INET;
    four.sin_port = htons(port);
    const auto* const as_six = reinterpret_cast<const sockaddr*>(&six);    // NOLINT
    const auto* const as_four = reinterpret_cast<const sockaddr*>(&four);  // NOLINT
    if (address == "*") {
        auto both = bound_socket(as_six, sizeof six, true);
        // A kernel without IPv6.
        return both.ok() ? std::move(both) : bound_socket(as_four, sizeof four, false);
    }
    if (::inet_pton(AF_INET, address.c_str(), &four.sin_addr) == 1)
        return bound_socket(as_four, sizeof four, false);
    if (::inet_pton(AF_INET6, address.c_str(), &six.sin6_addr) == 1)
        return bound_socket(as_six, sizeof six, false);
    return Error{ErrorKind::invalid, "vma.listen", "this is no IPv4 or IPv6 address"};
}

std::uint16_t port_of(int socket) {
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    auto* const any = reinterpret_cast<sockaddr*>(&bound);  // NOLINT: the way of the socket calls
    if (::getsockname(socket, any, &length) != 0) return 0;
    // Family and port lie at the same place in both kinds of address.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);  // NOLINT
}

}  // namespace

Result<void> HttpServer::listen(const std::string& address, std::uint16_t port) {
    auto listener = open_listener(address, port);
    if (!listener.ok())
        return listener.error().within("vma.address = " + address +
                                       ", internal.vm.port.vma = " + std::to_string(port));
    listener_ = std::move(listener).value();
    port_ = port_of(listener_.get());
    set_accepting(true);
    return {};
}

void HttpServer::set_accepting(bool accepting) {
    if (accepting && listening_ == 0)
        listening_ = loop_.watch(listener_.get(), POLLIN, [this](short) { accept(); });
    if (!accepting && listening_ != 0) loop_.remove(std::exchange(listening_, 0));
}

void HttpServer::accept() {
    UniqueFd socket{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!socket) return;
    const int on = 1;
    ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const auto connection = std::make_shared<Connection>(*this, std::move(socket));
    connections_.insert(connection);
    if (connections_.size() >= limits_.connections) set_accepting(false);
    connection->await_request();
}

void HttpServer::end(Connection* connection) {
    const auto held = connection->shared_from_this();  // until its callback has returned
    connection->detach();
    connections_.erase(held);
    set_accepting(true);
    // Its callbacks are on the stack: let it go only after them.
    loop_.after(Milliseconds{0}, [held] {});
}

}  // namespace qvd::vma
