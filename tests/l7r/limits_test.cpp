// What bounds a client: time, number, memory.
#include "net/limits.hpp"

#include "net/listener.hpp"
#include "tests/l7r/fixture.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <fstream>
#include <string>
#include <vector>

using namespace qvd;
using namespace qvd::test;

namespace {

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * 4096;
}

}  // namespace

TEST_CASE("a head that is not complete in time gets 408") {
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.head_ms = 100;
    ScriptedBroker broker = worker.add_broker(configure);
    Client client(worker.port());
    client.send("GET /qvd/ping HTTP/1.1\r\nHost:");

    CHECK(client.read_reply().status == 408);
    CHECK(client.read_record().empty());
}

TEST_CASE("a kept connection without requests is closed after its idle time, silently") {
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.idle_ms = 100;
    ScriptedBroker broker = worker.add_broker(configure);
    Client client(worker.port());
    client.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    net::Reply reply;
    reply.request = broker.expect<net::Request>().request;
    reply.status = 200;
    broker.send(reply);
    CHECK(client.read_reply().status == 200);

    CHECK(client.read_record().empty());
    broker.expect<net::ConnectionClosed>();
}

TEST_CASE("too many connections from one address get 429, a few more are dropped") {
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.connections_per_address = 2;
    ScriptedBroker broker = worker.add_broker(configure);
    std::vector<Client> welcome;
    for (int i = 0; i < 2; ++i) welcome.emplace_back(worker.port());
    {
        std::vector<Client> refused;
        for (std::size_t i = 0; i < net::ConnectionLimits::polite_per_address; ++i)
            refused.emplace_back(worker.port());
        CHECK_FALSE(Client(worker.port()).connected());
        refused.front().send("GET /qvd/ping HTTP/1.1\r\n\r\n");
        const Received received = refused.front().read_reply();
        CHECK(received.status == 429);
        CHECK(received.body.find("address") != std::string::npos);
    }
    CHECK(broker.quiet());
    welcome.front().send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    broker.expect<net::Request>();
}

TEST_CASE("workers that share a listening socket take turns") {
    const UniqueFd listener = std::move(net::listen_on("127.0.0.1", 0)).value();
    const std::uint16_t port = net::port_of(listener.get()).value();
    RunningWorker first;
    RunningWorker second;
    ScriptedBroker broker_of_first = first.add_broker(configuration(node_identity()));
    ScriptedBroker broker_of_second = second.add_broker(configuration(node_identity()));
    first.listen_at(listener);
    second.listen_at(listener);
    int taken_by_first = 0;
    std::vector<Client> clients;
    for (int i = 0; i < 40; ++i) {
        clients.emplace_back(port);
        clients.back().send("GET / HTTP/1.1\r\n\r\n");
        ScriptedBroker& broker = ScriptedBroker::next_of(broker_of_first, broker_of_second);
        broker.expect<net::Request>();
        taken_by_first += &broker == &broker_of_first ? 1 : 0;
    }
    CHECK(taken_by_first >= 10);
    CHECK(taken_by_first <= 30);
}

TEST_CASE("a full worker says 503") {
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.connections = 1;
    ScriptedBroker broker = worker.add_broker(configure);
    const Client first(worker.port());
    Client second(worker.port());
    second.send("GET /qvd/ping HTTP/1.1\r\n\r\n");

    CHECK(second.read_reply().status == 503);
}

TEST_CASE("a client that reads slowly stops the VM instead of filling our memory") {
    Client::Options options;
    options.receive_buffer = 8192;
    SUBCASE("over TLS") {
    }
    SUBCASE("plain") {
        options.tls = false;
    }
    RunningWorker worker;
    net::Configure configure = configuration(node_identity());
    configure.use_tls = options.tls;
    ScriptedBroker broker = worker.add_broker(configure);
    Session session = start_session(worker, broker, options);
    [[maybe_unused]] const std::size_t before = resident_bytes();
    // The VM sends until nothing goes any more: everything in between is full.
    const std::string piece(1U << 20U, 'x');
    const timeval briefly{0, 300'000};
    ::setsockopt(session.vm.get(), SOL_SOCKET, SO_SNDTIMEO, &briefly, sizeof briefly);
    std::size_t sent = 0;
    while (sent < (256U << 20U)) {
        const ssize_t now = ::send(session.vm.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
        if (now <= 0) break;
        sent += static_cast<std::size_t>(now);
    }
    CHECK(sent < (64U << 20U));
#ifndef QVD_SANITIZED  // which takes memory of its own for each byte that moves
    CHECK(resident_bytes() < before + (4U << 20U));
#endif

    CHECK(session.client.read_exactly(sent).size() == sent);
}

TEST_CASE("a VM that reads slowly stops the client") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    const timeval briefly{0, 300'000};
    ::setsockopt(session.client.socket(), SOL_SOCKET, SO_SNDTIMEO, &briefly, sizeof briefly);
    const std::string piece(16'384, 'x');
    std::size_t sent = 0;
    while (sent < (256U << 20U) && session.client.send(piece)) sent += piece.size();
    CHECK(sent < (64U << 20U));

    CHECK(receive_exactly(session.vm.get(), sent).size() == sent);
}
