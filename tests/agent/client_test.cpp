// The node's end against a server that answers what a test tells it to.
#include "agent/client.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::agent;
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr Milliseconds patience{5000};

struct Stage {
    asio::io_context context{1};
    tcp::acceptor acceptor{context, {asio::ip::address_v4::loopback(), 0}};
    Client client{context.get_executor()};
    std::string heard;

    Peer peer(std::string_view token = "") {
        return {"127.0.0.1", acceptor.local_endpoint().port(), Secret{token}};
    }

    asio::awaitable<void> serve(std::string answer) {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        co_await asio::async_read_until(socket, asio::dynamic_buffer(heard), "\r\n\r\n",
                                        asio::as_tuple(asio::use_awaitable));
        if (answer == "never") {
            // Until the client gives up.
            char byte = 0;
            co_await socket.async_read_some(asio::buffer(&byte, 1),
                                            asio::as_tuple(asio::use_awaitable));
            co_return;
        }
        co_await asio::async_write(socket, asio::buffer(answer),
                                   asio::as_tuple(asio::use_awaitable));
    }

    template <class T>
    T ask(std::string answer, asio::awaitable<T> question) {
        std::optional<T> got;
        asio::co_spawn(context, serve(std::move(answer)), asio::detached);
        asio::co_spawn(
            context,
            [](asio::awaitable<T> asked, std::optional<T>& out) -> asio::awaitable<void> {
                out.emplace(co_await std::move(asked));
            }(std::move(question), got),
            asio::detached);
        context.restart();
        while (!got && context.run_one() != 0) {
        }
        REQUIRE(got.has_value());
        return std::move(*got);
    }
};

std::string http(int status, std::string_view body) {
    return "HTTP/1.1 " + std::to_string(status) +
           " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace

TEST_CASE("a call sends its parameters and the token, and reads the answer") {
    Stage stage;
    const auto state = stage.ask(http(200, "\"listening\"\r\n"),
                                 stage.client.x_state(stage.peer("abc"), patience));
    CHECK(state.value() == XState::listening);
    CHECK(stage.heard.starts_with("GET /vma/x_state HTTP/1.1\r\n"));
    CHECK(stage.heard.find("Authorization: Bearer abc\r\n") != std::string::npos);
}

TEST_CASE("without a token none is sent, because upstream agents know none") {
    Stage stage;
    CHECK(stage.ask(http(200, "1\r\n"), stage.client.ping(stage.peer(), patience)).ok());
    CHECK(stage.heard.find("Authorization") == std::string::npos);
}

TEST_CASE("an agent that answers hello with 404 is an upstream agent") {
    Stage stage;
    CHECK(stage.ask(http(404, "no"), stage.client.hello(stage.peer(), patience)).value().protocol ==
          0);
    CHECK(stage.ask(http(404, "no"), stage.client.x_reason(stage.peer(), patience)).value() ==
          std::nullopt);
}

TEST_CASE("each way to fail has its own code") {
    Stage stage;
    const auto code_of = [&stage](std::string answer) {
        const auto result = stage.ask(std::move(answer),
                                      stage.client.x_start(stage.peer(), {{"a", "b"}}, patience));
        return result.ok() ? std::string{} : result.error().code();
    };
    CHECK(code_of(http(200, "\"starting\"\r\n")).empty());
    CHECK(code_of(http(200, encode_failure("no"))) == "agent.refused");
    CHECK(code_of(http(200, encode_failure(busy_sentence))) == "agent.session_busy");
    CHECK(code_of(http(401, "no")) == "agent.token");
    CHECK(code_of(http(404, "no")) == "agent.unknown_method");
    CHECK(code_of(http(500, "no")) == "agent.answer");
    CHECK(code_of(http(200, "<html>")) == "agent.answer");
    CHECK(code_of("SSH-2.0-OpenSSH_9.2\r\n") == "agent.answer");
    CHECK(code_of("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab") == "agent.unreachable");
    CHECK(code_of("") == "agent.unreachable");
}

TEST_CASE("an answer that is too long is not read to its end") {
    Stage stage;
    const auto result = stage.ask(http(200, "\"" + std::string(answer_limit, 'x') + "\"\r\n"),
                                  stage.client.x_state(stage.peer(), patience));
    CHECK(result.error().code() == "agent.answer");
}

TEST_CASE("a silent agent costs no more than the time given") {
    Stage stage;
    const auto result = stage.ask("never", stage.client.x_state(stage.peer(), Milliseconds{100}));
    CHECK(result.error().kind() == ErrorKind::timeout);
    CHECK(result.error().code() == "agent.timeout");
}

TEST_CASE("nobody there is unreachable, and the sentence says where") {
    Stage stage;
    const Peer peer = stage.peer();
    stage.acceptor.close();
    const auto result = stage.ask("", stage.client.ping(peer, patience));
    CHECK(result.error().code() == "agent.unreachable");
    CHECK(result.error().sentence().find("127.0.0.1:" + std::to_string(peer.port)) !=
          std::string::npos);
}

TEST_CASE("parameters that no agent would read are refused before anything is sent") {
    Stage stage;
    const auto result = stage.ask(
        "", stage.client.x_start(stage.peer(), {{"a", std::string(20'000, 'x')}}, patience));
    CHECK(result.error().code() == "agent.too_long");
}
