#include "agent/client.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace qvd::agent {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr auto as_pair = asio::as_tuple(asio::use_awaitable);

struct Reply {
    unsigned status = 0;
    std::string body;
};

// One call on its way; knows how to name itself in an error.
class Exchange {
public:
    Exchange(const asio::any_io_executor& executor, Peer peer, std::string method)
        : stream_(executor), peer_(std::move(peer)), method_(std::move(method)) {}

    asio::awaitable<Result<Reply>> run(const Parameters& parameters, Milliseconds timeout) {
        QVD_CO_TRY(const auto request, request_of(parameters));
        QVD_CO_TRY(const auto endpoint, endpoint_of());
        stream_.expires_after(timeout);
        const auto [refused] = co_await stream_.async_connect(endpoint, as_pair);
        if (refused) co_return failure(refused);
        const auto [unsent, sent] = co_await http::async_write(stream_, request, as_pair);
        if (unsent) co_return failure(unsent);
        http::response_parser<http::string_body> parser;
        parser.body_limit(answer_limit);
        beast::flat_buffer buffer(answer_limit);
        const auto [broken, got] = co_await http::async_read(stream_, buffer, parser, as_pair);
        if (broken) co_return failure(broken);
        co_return Reply{parser.get().result_int(), std::move(parser.get().body())};
    }

    // The answer's value, or the error that the status stands for.
    [[nodiscard]] Result<std::string> body_of(Reply reply) const {
        switch (reply.status) {
            case 200:
                return std::move(reply.body);
            case 401:
                return Error{
                    ErrorKind::denied, "agent.token",
                    name() + ": the agent wants another token than this VM was started with"};
            case 404:
                return Error{ErrorKind::unsupported, "agent.unknown_method",
                             name() + ": the agent has no such method"};
            default:
                return Error{
                    ErrorKind::unavailable, "agent.answer",
                    name() + ": the agent answers with status " + std::to_string(reply.status)};
        }
    }

private:
    [[nodiscard]] std::string name() const {
        return "agent at " + peer_.address + ":" + std::to_string(peer_.port) + ", " + method_;
    }

    [[nodiscard]] Error failure(const beast::error_code& problem) const {
        if (problem == beast::error::timeout)
            return {ErrorKind::timeout, "agent.timeout", name() + ": no answer in time"};
        if (problem == asio::error::operation_aborted)
            return {ErrorKind::cancelled, "agent.cancelled", name() + ": cancelled"};
        if (problem.category() == http::make_error_code(http::error::bad_version).category() &&
            problem != http::error::end_of_stream && problem != http::error::partial_message)
            return {ErrorKind::unavailable, "agent.answer",
                    name() + ": unusable answer: " + problem.message()};
        return {ErrorKind::unavailable, "agent.unreachable", name() + ": " + problem.message()};
    }

    [[nodiscard]] Result<asio::ip::tcp::endpoint> endpoint_of() const {
        boost::system::error_code problem;
        const auto address = asio::ip::make_address(peer_.address, problem);
        if (problem)
            return Error{ErrorKind::invalid, "agent.unreachable",
                         name() + ": this is no numeric address"};
        return asio::ip::tcp::endpoint{address, peer_.port};
    }

    [[nodiscard]] Result<http::request<http::empty_body>> request_of(
        const Parameters& parameters) const {
        http::request<http::empty_body> request{http::verb::get,
                                                request_target(method_, parameters), 11};
        request.set(http::field::host, peer_.address);
        request.set(http::field::connection, "close");
        if (!peer_.token.empty())
            request.set(http::field::authorization, "Bearer " + std::string(peer_.token.reveal()));
        // 512 bytes are more than the header lines above take.
        if (request.target().size() + peer_.token.reveal().size() + 512 > request_limit)
            return Error{ErrorKind::invalid, "agent.too_long",
                         name() + ": the parameters take " +
                             std::to_string(request.target().size()) +
                             " bytes, more than an agent reads (" + std::to_string(request_limit) +
                             "); shorten the VM's or the user's properties"};
        return request;
    }

    beast::tcp_stream stream_;
    Peer peer_;
    std::string method_;
};

// The body of a successful answer.
asio::awaitable<Result<std::string>> ask(asio::any_io_executor executor, Peer peer,
                                         std::string method, Parameters parameters,
                                         Milliseconds timeout) {
    Exchange exchange(executor, std::move(peer), std::move(method));
    QVD_CO_TRY(Reply reply, co_await exchange.run(parameters, timeout));
    co_return exchange.body_of(std::move(reply));
}

}  // namespace

asio::awaitable<Result<Value>> Client::call(Peer peer, std::string method, Parameters parameters,
                                            Milliseconds timeout) const {
    auto answer =
        ask(executor_, std::move(peer), std::move(method), std::move(parameters), timeout);
    QVD_CO_TRY(const std::string body, co_await std::move(answer));
    co_return decode_body(body);
}

asio::awaitable<Result<Hello>> Client::hello(Peer peer, Milliseconds timeout) const {
    auto answer =
        ask(executor_, std::move(peer), std::string(method::hello), Parameters{}, timeout);
    const Result<std::string> body = co_await std::move(answer);
    if (!body.ok() && body.error().code() == "agent.unknown_method") co_return Hello{};
    if (!body.ok()) co_return body.error();
    co_return decode_hello(*body);
}

asio::awaitable<Result<void>> Client::ping(Peer peer, Milliseconds timeout) const {
    auto answer = call(std::move(peer), std::string(method::ping), Parameters{}, timeout);
    QVD_CO_TRY(const Value value, co_await std::move(answer));
    (void)value;
    co_return Result<void>{};
}

asio::awaitable<Result<XState>> Client::x_state(Peer peer, Milliseconds timeout) const {
    auto answer = call(std::move(peer), std::string(method::x_state), Parameters{}, timeout);
    QVD_CO_TRY(const Value value, co_await std::move(answer));
    co_return parse_x_state(value.text);
}

asio::awaitable<Result<void>> Client::x_start(Peer peer, Parameters session,
                                              Milliseconds timeout) const {
    auto answer = call(std::move(peer), std::string(method::x_start), std::move(session), timeout);
    QVD_CO_TRY(const Value value, co_await std::move(answer));
    (void)value;
    co_return Result<void>{};
}

asio::awaitable<Result<void>> Client::x_suspend(Peer peer, Milliseconds timeout) const {
    auto answer = call(std::move(peer), std::string(method::x_suspend), Parameters{}, timeout);
    QVD_CO_TRY(const Value value, co_await std::move(answer));
    (void)value;
    co_return Result<void>{};
}

asio::awaitable<Result<void>> Client::x_stop(Peer peer, Milliseconds timeout) const {
    auto answer = call(std::move(peer), std::string(method::x_stop), Parameters{}, timeout);
    QVD_CO_TRY(const Value value, co_await std::move(answer));
    (void)value;
    co_return Result<void>{};
}

asio::awaitable<Result<std::optional<std::string>>> Client::x_reason(Peer peer,
                                                                     Milliseconds timeout) const {
    auto answer = call(std::move(peer), std::string(method::x_reason), Parameters{}, timeout);
    const Result<Value> value = co_await std::move(answer);
    using Reason = std::optional<std::string>;
    if (!value.ok() && value.error().code() == "agent.unknown_method") co_return Reason{};
    if (!value.ok()) co_return value.error();
    if (value->kind != Value::Kind::text) co_return Reason{};
    co_return Reason{value->text};
}

}  // namespace qvd::agent
