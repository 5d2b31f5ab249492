// The little HTTP server, and who may call the agent.
#include "tests/vma/workshop.hpp"
#include "vma/agent.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>

using namespace qvd;
using namespace qvd::vma;
using testing::Workshop;

namespace {

std::string code_of(std::string_view head) {
    const auto request = parse_request_head(head);
    return request.ok() ? "" : request.error().code();
}

UniqueFd connect_to(std::uint16_t port) {
    UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    return socket;
}

void send(const UniqueFd& socket, std::string_view bytes) {
    CHECK(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
}

// A server that repeats the target of each request.
struct Echo : Workshop {
    HttpServer server;

    explicit Echo(HttpServer::Limits limits = {})
        : server(loop, limits, [](HttpRequest request) -> Task<HttpAnswer> {
              co_return HttpAnswer{200, "text/plain", request.target, {}, {}};
          }) {
        REQUIRE(server.listen("127.0.0.1", 0).ok());
    }

    // Everything the server sends until it closes, or until `end` has come.
    std::string receive(const UniqueFd& socket, std::string_view end = "") {
        std::string got;
        bool closed = false;
        until([&] {
            char buffer[4096];
            const ssize_t size = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (size > 0) got.append(buffer, static_cast<std::size_t>(size));
            closed = size == 0 || (size < 0 && errno != EAGAIN && errno != ENOTCONN);
            return closed || (!end.empty() && got.ends_with(end));
        });
        return got;
    }
};

}  // namespace

TEST_CASE("a request's head is read with either line end") {
    const auto request = parse_request_head(
        "\r\nGET /vma/ping?x HTTP/1.1\nHost: a\r\nAUTHORIZATION:  Bearer t \n\r\n");
    REQUIRE(request.ok());
    CHECK(request->target == "/vma/ping?x");
    CHECK(request->authorization == "Bearer t");
    CHECK(request->keep_alive);
    CHECK_FALSE(parse_request_head("GET / HTTP/1.0\r\n\r\n")->keep_alive);
    CHECK_FALSE(parse_request_head("GET / HTTP/1.1\r\nConnection: close\r\n\r\n")->keep_alive);
}

TEST_CASE("what is no request for this server is refused with its own status") {
    CHECK(code_of("nonsense\r\n\r\n") == "http.400");
    CHECK(code_of("GET  / HTTP/1.1\r\n\r\n") == "http.400");
    CHECK(code_of("GET / HTTP/1.1\r\nno colon\r\n\r\n") == "http.400");
    CHECK(code_of("POST / HTTP/1.1\r\n\r\n") == "http.405");
    CHECK(code_of("GET / HTTP/2.0\r\n\r\n") == "http.505");
    CHECK(code_of("GET / HTTP/1.1\r\nContent-Length: 3\r\n\r\n") == "http.413");
    CHECK(code_of("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n") == "http.413");
}

TEST_CASE("a connection is kept for the next request, also when both come at once") {
    Echo echo;
    const UniqueFd socket = connect_to(echo.server.port());
    send(socket, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    const std::string got = echo.receive(socket, "/b");
    CHECK(got.find("\r\n\r\n/a") < got.find("\r\n\r\n/b"));
    send(socket, "GET /c HTTP/1.1\nConnection: close\n\n");
    CHECK(echo.receive(socket).ends_with("/c"));
    CHECK(echo.until([&] { return echo.server.connections() == 0; }));
}

TEST_CASE("a head that has no end is cut off at the limit") {
    Echo echo;
    const UniqueFd socket = connect_to(echo.server.port());
    send(socket, "GET /" + std::string(20'000, 'x'));
    CHECK(echo.receive(socket).starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a client that never finishes its request is put out") {
    Echo echo({16U << 10U, 64, Milliseconds{200}, Milliseconds{200}});
    const UniqueFd socket = connect_to(echo.server.port());
    send(socket, "GET /slow");
    CHECK(echo.until([&] { return echo.server.connections() == 1; }));
    CHECK(echo.receive(socket).empty());
    CHECK(echo.server.connections() == 0);
}

TEST_CASE("connections beyond the limit wait until one is free") {
    Echo echo({16U << 10U, 2, Milliseconds{10'000}, Milliseconds{10'000}});
    UniqueFd first = connect_to(echo.server.port());
    const UniqueFd second = connect_to(echo.server.port());
    CHECK(echo.until([&] { return echo.server.connections() == 2; }));
    const UniqueFd third = connect_to(echo.server.port());
    first.reset();
    CHECK(echo.until([&] { return echo.server.connections() == 1; }));
    send(third, "GET /third HTTP/1.0\r\n\r\n");
    CHECK(echo.receive(third).ends_with("/third"));
}

namespace {

struct Answering : Workshop {
    config::Properties file;
    HookPlugins plugins{loop, settings, file};
    Agent agent{loop, processes, settings, plugins};

    HttpAnswer ask(std::string target, std::string authorization = "") {
        HttpRequest request;
        request.target = std::move(target);
        request.authorization = std::move(authorization);
        return finish(agent.answer(std::move(request)));
    }
};

}  // namespace

TEST_CASE("without a token file the agent answers everybody, as upstream's does") {
    Answering place;
    CHECK(place.ask("/vma/ping").body == "1\r\n");
    CHECK(place.ask("/vma/x_state").body == "\"stopped\"\r\n");
    CHECK(place.ask("/vma/x_state").content_type == "application/json-simplerpc");
    CHECK(place.ask("/vma/x_stop").body == "\"stopped\"\r\n");
    CHECK(place.ask("/vma/x_suspend").body == "\"stopped\"\r\n");
    CHECK(place.ask("/vma/x_reason").body == "null\r\n");
    CHECK(place.ask("/vma/nothing").status == 404);
    CHECK(place.ask("/").status == 404);
}

TEST_CASE("once there is a token file, only its content opens any method") {
    Answering place;
    place.folder.write("token", "s3cret\n", 0600);
    for (const char* method :
         {"hello", "ping", "x_state", "x_start", "x_stop", "poweroff", "nothing"})
        CHECK(place.ask("/vma/" + std::string(method)).status == 401);
    for (const char* wrong :
         {"Bearer", "Bearer ", "Bearer s3cre", "Bearer s3cret2", "Basic s3cret", "s3cret"})
        CHECK(place.ask("/vma/ping", wrong).status == 401);
    CHECK(place.ask("/vma/ping", "Bearer s3cret").status == 200);
    CHECK(place.ask("/vma/ping", "bearer  s3cret").status == 200);
    CHECK(encode_answer(place.ask("/vma/ping"), false).find("WWW-Authenticate: Bearer\r\n") !=
          std::string::npos);
}

TEST_CASE("an empty or unusable token file opens for nobody") {
    Answering place;
    place.folder.write("token", "\n", 0600);
    CHECK(place.ask("/vma/ping").status == 401);
    CHECK(place.ask("/vma/ping", "Bearer ").status == 401);
    std::filesystem::remove(place.folder.at("token"));
    std::filesystem::create_directory(place.folder.at("token"));
    CHECK(place.ask("/vma/ping", "Bearer ").status == 401);
}

TEST_CASE("what is wrong with the parameters is the answer's second value") {
    Answering place;
    const HttpAnswer answer = place.ask("/vma/x_start?qvd.client.link=a%3Ab");
    CHECK(answer.status == 200);
    CHECK(agent::decode_body(answer.body).error().sentence().find("qvd.client.link") !=
          std::string::npos);
    CHECK(place.ask("/vma/x_state").body == "\"stopped\"\r\n");
}

TEST_CASE("a failing hook refuses poweroff and expire, and says why") {
    Answering place;
    place.settings.hooks["vma.on_action.poweroff"] = place.settings.hooks["vma.on_action.expire"] =
        place.folder.write("hook", "#!/bin/sh\nexit 4\n", 0755);
    for (const char* method : {"poweroff", "expire"})
        CHECK(agent::decode_body(place.ask("/vma/" + std::string(method)).body).error().code() ==
              "agent.refused");
}

TEST_CASE("poweroff answers first and then runs the configured command") {
    Answering place;
    place.settings.poweroff = {
        place.folder.write("off", "#!/bin/sh\necho $1 > " + place.folder.at("done") + "\n", 0755),
        "now"};
    CHECK(place.ask("/vma/poweroff").body == "null\r\n");
    CHECK(place.until([&] { return place.folder.read("done") == "now\n"; }));
    // Its end has been noticed, too: nothing of the task is left.
    CHECK(place.until([] {
        siginfo_t child{};
        return ::waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
    }));
}

TEST_CASE("a session that cannot start says why when asked") {
    Answering place;
    place.settings.xinit = "/no/xinit";
    place.settings.display = 9000 + ::getpid() % 900;
    CHECK(place.ask("/vma/x_start?qvd.vm.user.name=daemon").body == "\"starting\"\r\n");
    CHECK(place.until([&] { return place.ask("/vma/x_state").body == "\"stopped\"\r\n"; }));
    CHECK(place.ask("/vma/x_reason").body.find("/no/xinit") != std::string::npos);
}
