// Brokers come and go; sessions stay. And the supervisor's orders.
#include "tests/l7r/fixture.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

using namespace qvd;
using namespace qvd::test;

namespace {

void answer(ScriptedBroker& broker, std::uint64_t request) {
    net::Reply reply;
    reply.request = request;
    reply.status = 200;
    reply.body = "ok";
    broker.send(reply);
}

}  // namespace

TEST_CASE("a broker's death costs requests in flight a sentence, and no session") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    Client waiting(worker.port());
    waiting.send("GET /qvd/connect_to_vm?id=2 HTTP/1.1\n\n");
    broker.expect<net::Request>();

    broker.die();

    const Received received = waiting.read_reply();
    CHECK(received.status == 503);
    CHECK(received.body.find("try again") != std::string::npos);
    session.client.send("still here");
    CHECK(receive_exactly(session.vm.get(), 10) == "still here");

    ScriptedBroker next = worker.add_broker();
    CHECK(worker.hello().relays == std::vector<std::uint64_t>{session.request});
    next.send(configuration(node_identity()));
    session.client.close();
    session.vm.reset();
    CHECK(next.expect<net::Ended>().request == session.request);
}

TEST_CASE("a new broker is told whose relay it is, as the one before has named him") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    Session owned = start_session(worker, broker, {}, "operator:observer:ann");
    broker.die();
    ScriptedBroker next = worker.add_broker();
    while (worker.hello().relays.size() < 2) worker.set_hello(next.expect<net::Hello>());
    CHECK(worker.hello().owners ==
          net::Headers{{std::to_string(owned.request), "operator:observer:ann"}});
}

TEST_CASE("a new broker can end a session that it was told of") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    // Whose request is answered once the worker knows of the loss.
    Client witness(worker.port());
    witness.send("GET /1 HTTP/1.1\r\n\r\n");
    broker.expect<net::Request>();
    broker.die();
    CHECK(witness.read_reply().status == 503);
    ScriptedBroker next = worker.add_broker();

    next.send(net::Abort{worker.hello().relays.at(0)});

    CHECK(session.client.read_record().empty());
    CHECK(next.expect<net::Ended>().reason == "aborted");
}

TEST_CASE("who comes while no broker is there waits for the next") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Client kept(worker.port());
    kept.send("GET /1 HTTP/1.1\r\n\r\n");
    answer(broker, broker.expect<net::Request>().request);
    CHECK(kept.read_reply().body == "ok");
    // Its request in flight is answered once the worker knows of the loss.
    Client witness(worker.port());
    witness.send("GET /2 HTTP/1.1\r\n\r\n");
    broker.expect<net::Request>();
    broker.die();
    CHECK(witness.read_reply().status == 503);
    kept.send("GET /3 HTTP/1.1\r\n\r\n");
    const UniqueFd in_the_queue = connect_to(worker.port());

    ScriptedBroker next = worker.add_broker();

    const auto request = next.expect<net::Request>();
    CHECK(request.target == "/3");
    answer(next, request.request);
    CHECK(kept.read_reply().body == "ok");
}

TEST_CASE("when no broker comes, clients hear 503 after a while") {
    RunningWorker worker(std::chrono::milliseconds(100));
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    broker.die();
    Client client(worker.port());
    client.send("GET /qvd/list_of_vm HTTP/1.1\r\n\r\n");

    CHECK(client.read_reply().status == 503);
}

TEST_CASE("a second broker gets the new requests, the first finishes its own") {
    RunningWorker worker;
    ScriptedBroker first = worker.add_broker(configuration(node_identity()));
    Client early(worker.port());
    early.send("GET /early HTTP/1.1\r\n\r\n");
    const auto old_request = first.expect<net::Request>();
    Session session = start_session(worker, first);

    ScriptedBroker second = worker.add_broker(configuration(node_identity()));
    CHECK(worker.hello().relays.empty());
    std::vector<std::uint64_t> elsewhere = worker.hello().elsewhere;
    std::sort(elsewhere.begin(), elsewhere.end());
    CHECK(elsewhere == std::vector<std::uint64_t>{old_request.request, session.request});
    Client late(worker.port());
    late.send("GET /late HTTP/1.1\r\n\r\n");
    answer(second, second.expect<net::Request>().request);
    CHECK(late.read_reply().body == "ok");
    answer(first, old_request.request);
    CHECK(early.read_reply().body == "ok");

    // A request belongs to the broker that got it: nobody else may end it.
    second.send(net::Abort{session.request});
    late.send("GET /proof HTTP/1.1\r\n\r\n");  // that the worker has read the frame before
    answer(second, second.expect<net::Request>().request);
    CHECK(late.read_reply().body == "ok");
    first.die();
    const auto hello = second.expect<net::Hello>();
    CHECK(hello.relays == std::vector<std::uint64_t>{session.request});
    CHECK(hello.elsewhere.empty());
    session.client.send("alive");
    CHECK(receive_exactly(session.vm.get(), 5) == "alive");
}

TEST_CASE("the next broker hears when an earlier one has nothing left, even without a relay") {
    RunningWorker worker;
    ScriptedBroker first = worker.add_broker(configuration(node_identity()));
    Client early(worker.port());
    early.send("GET /early HTTP/1.1\r\n\r\n");
    const auto request = first.expect<net::Request>().request;
    ScriptedBroker second = worker.add_broker(configuration(node_identity()));
    CHECK(worker.hello().elsewhere == std::vector<std::uint64_t>{request});
    first.die();
    const auto hello = second.expect<net::Hello>();
    CHECK(hello.relays.empty());
    CHECK(hello.elsewhere.empty());
}

TEST_CASE("a broker that sends what is no frame is dropped") {
    RunningWorker worker;
    auto sockets = net::frame_sockets();
    REQUIRE(sockets.ok());
    worker.order({net::order::Peer{net::Role::broker, "evil"}, std::move(sockets.value().second)});
    const UniqueFd end = std::move(sockets.value().first);
    CHECK(net::receive_frame(end.get()).ok());
    CHECK(::send(end.get(), "\x01\x01garbage", 9, MSG_NOSIGNAL) == 9);

    const Result<net::Frame> nothing = net::receive_frame(end.get());

    REQUIRE_FALSE(nothing.ok());
    CHECK(nothing.error().code() == "frame.closed");
}

namespace {

// Whether nobody accepts at `port` any more, within two seconds.
bool is_soon_refused(std::uint16_t port) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    while (std::chrono::steady_clock::now() < end) {
        try {
            (void)connect_to(port);
        } catch (const std::exception&) {
            return true;
        }
        std::this_thread::yield();
    }
    return false;
}

}  // namespace

TEST_CASE("a draining worker accepts nobody, keeps its sessions and then exits") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    Session second = start_session(worker, broker);

    worker.order({net::order::Drain{0}, {}});

    second.client.close();
    second.vm.reset();
    CHECK(broker.expect<net::Ended>().request == second.request);
    // The worker may see the relay's end before the order.
    CHECK(is_soon_refused(worker.port()));
    session.client.send("still here");
    CHECK(receive_exactly(session.vm.get(), 10) == "still here");
    session.client.close();
    session.vm.reset();
    worker.report<net::report::Exiting>();
    worker.join();
}

TEST_CASE("a worker whose supervisor was killed tells the next one's broker of its relays") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    for (int life = 0; life < 2; ++life) {
        worker.lose_supervisor();
        broker.die();
        worker.find_supervisor();
        while (worker.report<net::report::Alive>().load != 1) continue;
        ScriptedBroker next = worker.add_broker();
        // It may hear of the new broker before it has seen the old one's end.
        while (worker.hello().relays.empty()) worker.set_hello(next.expect<net::Hello>());
        CHECK(worker.hello().relays == std::vector<std::uint64_t>{session.request});
        broker = std::move(next);
    }
    CHECK(is_soon_refused(worker.port()));
    session.client.send("still here");
    CHECK(receive_exactly(session.vm.get(), 10) == "still here");
    broker.send(net::Abort{session.request});
    CHECK(session.client.read_record().empty());
    CHECK(broker.expect<net::Ended>().reason == "aborted");
    worker.report<net::report::Exiting>();
    worker.join();
}

TEST_CASE("a drain with a limit ends the sessions that are left") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);

    worker.order({net::order::Drain{50}, {}});

    CHECK(session.client.read_record().empty());
    CHECK(broker.expect<net::Ended>().reason == "drain time over");
    worker.join();
}

TEST_CASE("stop ends everything at once") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);

    worker.order({net::order::Stop{}, {}});

    worker.join();
    CHECK(session.client.read_record().empty());
    CHECK(broker.expect<net::Ended>().reason == "stopped");
}

TEST_CASE("a worker reports how many sessions it holds") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(node_identity()));
    Session session = start_session(worker, broker);
    while (worker.report<net::report::Alive>().load != 1) continue;
}
