#include "node_socket.hpp"

#include "base/unique_fd.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json/parse.hpp>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace qvd::qa {

namespace {

namespace http = boost::beast::http;
namespace json = boost::json;

constexpr std::size_t longest_answer = 8U << 20U;
// What it does for the answer may take: a collection looks at every folder.
constexpr int patience_seconds = 120;

Error not_here(const std::string& socket) {
    return {ErrorKind::unavailable, "node.not_here",
            "no node answers at " + socket + " (" + std::strerror(errno) +  // NOLINT: one thread
                "): this works on the node itself, for root and the group qvd-admin"};
}

Error no_answer(const std::string& socket) {
    return {ErrorKind::unavailable, "node.answer", "the node at " + socket + " did not answer"};
}

Result<UniqueFd> connected(const std::string& socket) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    if (socket.size() >= sizeof where.sun_path) {
        errno = ENAMETOOLONG;
        return not_here(socket);
    }
    socket.copy(&where.sun_path[0], socket.size());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{patience_seconds, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    // NOLINTNEXTLINE(*-reinterpret-cast): the system call's own way
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0)
        return not_here(socket);
    return fd;
}

// The node's own error, as it was meant.
Error refusal_of(const http::response<http::string_body>& answer) {
    boost::system::error_code problem;
    const json::value body = json::parse(answer.body(), problem);
    const json::object* const object = problem ? nullptr : body.if_object();
    const auto text = [object](const char* key) -> std::string {
        const json::value* const value = object == nullptr ? nullptr : object->if_contains(key);
        return value != nullptr && value->is_string() ? value->as_string().c_str() : "";
    };
    const bool missing = answer.result() == http::status::not_found;
    const bool conflict = answer.result() == http::status::conflict;
    const ErrorKind kind = missing    ? ErrorKind::not_found
                           : conflict ? ErrorKind::conflict
                                      : ErrorKind::unavailable;
    const std::string code = text("code");
    return {kind, code.empty() ? "node.answer" : code,
            code.empty() ? "the node answered " + std::to_string(answer.result_int())
                         : text("message")};
}

}  // namespace

Result<std::string> ask_node(const std::string& socket, const std::string& method,
                             const std::string& target) {
    QVD_TRY(const UniqueFd fd, connected(socket));
    const std::string request =
        method + " " + target + " HTTP/1.1\r\nHost: node\r\nContent-Length: 0\r\n\r\n";
    if (::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
        return no_answer(socket);
    http::response_parser<http::string_body> parser;
    parser.body_limit(longest_answer);
    parser.eager(true);
    std::string text;
    std::array<char, 65536> part{};
    boost::system::error_code problem;
    while (!parser.is_done()) {
        const ssize_t got = ::recv(fd.get(), part.data(), part.size(), 0);
        if (got <= 0) return no_answer(socket);
        text.append(part.data(), static_cast<std::size_t>(got));
        const std::size_t used = parser.put(boost::asio::buffer(text), problem);
        if (problem && problem != http::error::need_more) return no_answer(socket);
        text.erase(0, used);
    }
    const auto& answer = parser.get();
    if (answer.result_int() / 100 != 2) return refusal_of(answer);
    return answer.body();
}

}  // namespace qvd::qa
