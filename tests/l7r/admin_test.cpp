// An operator's stream through the worker: a socket that comes from the broker is relayed as a VM's
// screen is.
#include "tests/l7r/fixture.hpp"

#include <sys/socket.h>

#include <array>

using namespace qvd;        // NOLINT(google-build-using-namespace): a test's vocabulary
using namespace qvd::test;  // NOLINT(google-build-using-namespace)

namespace {

constexpr std::string_view console_request =
    "GET /qvd/admin/v1/vm/7/console HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\n"
    "Upgrade: QVD-Admin/1.0\r\nAuthorization: Basic YW5uOng=\r\n\r\n";

std::pair<std::shared_ptr<UniqueFd>, UniqueFd> stream_sockets() {
    std::array<int, 2> ends{-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {std::make_shared<UniqueFd>(ends[0]), UniqueFd(ends[1])};
}

net::Reply refusal(std::uint64_t request) {
    net::Reply reply;
    reply.request = request;
    reply.status = 403;
    reply.body = "no\r\n";
    reply.close = true;
    return reply;
}

}  // namespace

TEST_CASE("a socket that the broker hands over is relayed after a 101 that names the protocol") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Client client(worker.port());
    client.send(console_request);
    const auto request = broker.expect<net::Request>();
    CHECK(request.tls);
    CHECK(request.target == "/qvd/admin/v1/vm/7/console");
    auto [theirs, console] = stream_sockets();
    broker.send(net::Attach{request.request, std::move(theirs)});
    CHECK(broker.expect<net::Linked>().request == request.request);
    broker.send(net::Switch{request.request, Secret(), "QVD-Admin/1.0"});
    CHECK(client.read_record() ==
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
          "Upgrade: QVD-Admin/1.0\r\n\r\n");
    client.send("ls\r");
    CHECK(receive_exactly(console.get(), 3) == "ls\r");
    REQUIRE(send_all(console.get(), "login: "));
    CHECK(client.read_exactly(7) == "login: ");
    console.reset();
    const auto ended = broker.expect<net::Ended>();
    CHECK(ended.reason == "vm closed");
    CHECK(ended.bytes_up == 3);
    CHECK(ended.bytes_down == 7);
}

TEST_CASE("a socket that comes twice, or too late, is closed and nothing else happens") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Client client(worker.port());
    client.send(console_request);
    const auto request = broker.expect<net::Request>();
    auto [first, console] = stream_sockets();
    broker.send(net::Attach{request.request, std::move(first)});
    broker.expect<net::Linked>();
    auto [second, other] = stream_sockets();
    broker.send(net::Attach{request.request, second});
    second.reset();
    CHECK(receive_exactly(other.get(), 1).empty());
    broker.send(refusal(request.request));
    CHECK(client.read_reply().status == 403);
    CHECK(receive_exactly(console.get(), 1).empty());
}

TEST_CASE("the broker hears which requests came without TLS") {
    RunningWorker worker;
    net::Configure plain = configuration(node_identity());
    plain.use_tls = false;
    ScriptedBroker broker = worker.add_broker(plain);
    Client::Options options;
    options.tls = false;
    Client client(worker.port(), options);
    client.send(console_request);
    const auto request = broker.expect<net::Request>();
    CHECK_FALSE(request.tls);
    broker.send(refusal(request.request));
    CHECK(client.read_reply().status == 403);
}
