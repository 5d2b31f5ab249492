// When something is not there: a certificate, the kernel's memory, an answer, a place.
#include "base/log.hpp"
#include "l7r/loop.hpp"
#include "net/limits.hpp"
#include "net/listener.hpp"
#include "tests/l7r/epoll_failure.hpp"
#include "tests/l7r/fixture.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

using namespace qvd;
using namespace qvd::test;

namespace {

// Whether the other side closes within some seconds, instead of leaving us waiting.
bool is_closed_soon(const UniqueFd& socket, int milliseconds = 10'000) {
    char byte = 0;
    pollfd one{socket.get(), POLLIN, 0};
    return ::poll(&one, 1, milliseconds) == 1 && ::recv(socket.get(), &byte, 1, 0) <= 0;
}

}  // namespace

TEST_CASE("a worker that gets no configuration closes its clients' connections at once") {
    RunningWorker worker(std::chrono::milliseconds(100));
    ScriptedBroker broker = worker.add_broker();
    const UniqueFd early = connect_to(worker.port());
    CHECK(is_closed_soon(early));
    CHECK(is_closed_soon(connect_to(worker.port())));

    broker.send(configuration(node_identity()));
    CHECK(worker.report<net::report::Status>().text.empty());
    Client client(worker.port());
    CHECK(client.connected());
    client.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    broker.expect<net::Request>();
}

TEST_CASE("a kernel without memory for another connection ends that connection only") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    // Until the relay has all its watches.
    session.client.send("ready");
    REQUIRE(receive_exactly(session.vm.get(), 5) == "ready");
    REQUIRE(send_all(session.vm.get(), "too"));
    REQUIRE(session.client.read_exactly(3) == "too");
    // The connection's own watch; then also the listener's, which is tried again.
    for (const int failures : {1, 2}) {
        // The failure may meet the listener's watch alone, which is tried again: then once more.
        bool closed = false;
        for (int attempt = 0; attempt < 10 && !closed; ++attempt) {
            failing_watches = failures;
            closed = is_closed_soon(connect_to(worker.port()), 1000);
        }
        CHECK(closed);
        session.client.send("alive");
        CHECK(receive_exactly(session.vm.get(), 5) == "alive");
        Client next(worker.port());
        CHECK(next.connected());
        CHECK(failing_watches == 0);
    }
}

TEST_CASE("a watch that the kernel refuses says so, and can be tried again") {
    l7r::Loop loop;
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const UniqueFd reading{ends[0]};
    const UniqueFd writing{ends[1]};
    int heard = 0;
    l7r::Watch watch(loop, [&heard](std::uint32_t /*events*/) { ++heard; });
    failing_watches = 1;
    CHECK_FALSE(watch.watch(reading.get(), EPOLLIN));
    CHECK(watch.watch(reading.get(), EPOLLIN));
    REQUIRE(::write(writing.get(), "x", 1) == 1);
    loop.turn();
    CHECK(heard == 1);
}

TEST_CASE("an answer in several frames reaches the client as one") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Client client(worker.port());
    client.send("GET /qvd/list_of_vm HTTP/1.1\r\n\r\n");
    const auto request = broker.expect<net::Request>().request;
    const std::string piece(100'000, 'a');
    for (int i = 0; i < 10; ++i) broker.send(net::Body{request, piece});
    net::Reply reply;
    reply.request = request;
    reply.status = 200;
    reply.body = "end";
    broker.send(reply);
    const Received received = client.read_reply();
    CHECK(received.status == 200);
    CHECK(received.body.size() == 1'000'003);
    CHECK(received.body.ends_with("aend"));
    // The connection is kept, and what is over is forgotten.
    client.send("GET /qvd/list_of_vm HTTP/1.1\r\n\r\n");
    reply.request = broker.expect<net::Request>().request;
    broker.send(reply);
    CHECK(client.read_reply().body == "end");
}

TEST_CASE("a broker that never answers costs its client 504 after a while, not his patience") {
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.answer_ms = 200;
    ScriptedBroker broker = worker.add_broker(configure);
    Client client(worker.port());
    client.send("GET /qvd/connect_to_vm?id=1 HTTP/1.1\r\n\r\n");
    const auto request = broker.expect<net::Request>().request;

    const Received received = client.read_reply();
    CHECK(received.status == 504);
    CHECK(received.body.find("did not answer in time") != std::string::npos);
    CHECK(broker.expect<net::Gone>().request == request);
}

TEST_CASE("a session may last longer than an answer") {
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.answer_ms = 100;
    ScriptedBroker broker = worker.add_broker(configure);
    Session session = start_session(worker, broker);
    pollfd quiet{session.vm.get(), POLLIN, 0};
    CHECK(::poll(&quiet, 1, 400) == 0);
    session.client.send("alive");
    CHECK(receive_exactly(session.vm.get(), 5) == "alive");
}

TEST_CASE("the limit per address is the node's, however its connections are spread") {
    net::Configure configure = configuration(node_identity());
    configure.workers = 2;
    configure.connections_per_address = 4;
    RunningWorker first;
    RunningWorker second;
    ScriptedBroker broker_of_first = first.add_broker(configure);
    ScriptedBroker broker_of_second = second.add_broker(configure);
    // All four at one worker: none is refused because it is the other's.
    std::vector<Client> clients;
    for (int i = 0; i < 4; ++i) {
        clients.emplace_back(first.port());
        clients.back().send("GET / HTTP/1.1\r\n\r\n");
        broker_of_first.expect<net::Request>();
    }
    auto held = broker_of_first.expect<net::Connections>();
    while (held.in_all < 4) held = broker_of_first.expect<net::Connections>();
    REQUIRE(held.by_address.size() == 1);
    CHECK(held.by_address[0] == std::pair<std::string, std::uint32_t>{"127.0.0.1", 4});
    broker_of_second.send(held);
    // That the worker has read the frame before.
    broker_of_second.send(configure);
    CHECK(second.report<net::report::Status>().text.empty());

    Client fifth(second.port());
    fifth.send("GET / HTTP/1.1\r\n\r\n");
    CHECK(fifth.read_reply().status == 429);
}

TEST_CASE("clients that are turned away write one line a second, whatever their number") {
    const log::Capture log;
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.connections_per_address = 1;
    ScriptedBroker broker = worker.add_broker(configure);
    std::vector<Client> polite;
    for (std::size_t i = 0; i < 1 + net::ConnectionLimits::polite_per_address; ++i)
        polite.emplace_back(worker.port());
    constexpr int strangers = 50;
    for (int i = 0; i < strangers; ++i) CHECK(is_closed_soon(connect_to(worker.port())));
    while (!log.contains("event=l7r.connection.dropped")) worker.report<net::report::Alive>();
    const auto lines = log.lines();
    CHECK(std::ranges::count_if(lines, [](const std::string& line) {
              return line.find("l7r.connection.dropped") != std::string::npos;
          }) < 5);
}
