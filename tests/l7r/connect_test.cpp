// connect_to_vm: progress, the VM, the 101 and what follows.
#include "net/listener.hpp"
#include "tests/l7r/fixture.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <random>
#include <thread>

using namespace qvd;
using namespace qvd::test;

namespace {

struct Site {
    Identity server = self_signed("node");
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(server));
};

constexpr std::string_view connect_request =
    "GET /qvd/connect_to_vm?id=1&qvd.client.os=linux HTTP/1.1\n"
    "Connection: Upgrade\nUpgrade: QVD/1.0\n\n";

std::string random_bytes(std::size_t count, unsigned seed) {
    std::mt19937_64 generator(seed);
    std::string bytes(count, '\0');
    for (char& byte : bytes) byte = static_cast<char>(generator());
    return bytes;
}

}  // namespace

TEST_CASE("the progress of a quick start leaves in the record of the 101") {
    Site site;
    Client client(site.worker.port());
    client.send(connect_request);
    const auto request = site.broker.expect<net::Request>();
    FakeVm vm;
    site.broker.send(net::Progress{request.request, "Starting X session"});
    site.broker.send(net::Link{request.request, "127.0.0.1", vm.port()});
    const UniqueFd screen = vm.accept();
    site.broker.expect<net::Linked>();
    site.broker.send(net::Progress{request.request, "Connection established"});
    site.broker.send(net::Switch{request.request, Secret("abc123")});

    CHECK(client.read_record() ==
          "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Starting X session\r\n\r\n"
          "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: Connection established\r\n\r\n"
          "HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: abc123\r\n\r\n");
}

TEST_CASE("a client that waits for a slow start sees one record of progress now and then") {
    Site site;
    Client client(site.worker.port());
    client.send(connect_request);
    const auto request = site.broker.expect<net::Request>();
    for (const char* text : {"1", "2", "3", "4", "5", "6"})
        site.broker.send(net::Progress{request.request, text});

    // The last four, in one record.
    const std::string record = client.read_record();

    CHECK(record.find("X-QVD-VM-Info: 2\r\n") == std::string::npos);
    CHECK(record.starts_with("HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: 3\r\n\r\n"));
    CHECK(record.ends_with("X-QVD-VM-Info: 6\r\n\r\n"));

    // What follows at once is held back, and says itself with the answer.
    site.broker.send(net::Progress{request.request, "7"});
    net::Reply reply;
    reply.request = request.request;
    reply.status = 503;
    reply.body = "retry later\r\n";
    reply.upgrade_failed = true;
    site.broker.send(reply);
    CHECK(client.read_record().starts_with("HTTP/1.1 503 "));
}

TEST_CASE("a VM that binds a little after it said so is connected to, once") {
    Site site;
    Client client(site.worker.port());
    client.send(connect_request);
    const auto request = site.broker.expect<net::Request>();
    // A bound socket that does not listen yet refuses.
    UniqueFd early(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(early.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    const std::uint16_t port = net::port_of(early.get()).value();
    site.broker.send(net::Link{request.request, "127.0.0.1", port});
    // The answer to a second request proves that the worker has tried.
    Client other(site.worker.port());
    other.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    site.broker.expect<net::Request>();
    CHECK(site.broker.quiet());

    REQUIRE(::listen(early.get(), 5) == 0);

    CHECK(site.broker.expect<net::Linked>().request == request.request);
    const UniqueFd screen(::accept(early.get(), nullptr, nullptr));
    CHECK(screen);
    pollfd second{early.get(), POLLIN, 0};
    CHECK(::poll(&second, 1, 50) == 0);
}

TEST_CASE("a VM that cannot be reached is reported, and the broker may answer or try again") {
    Identity server = self_signed("node");
    RunningWorker worker;
    net::Configure configure = configuration(server);
    configure.connect_ms = 100;
    ScriptedBroker broker = worker.add_broker(configure);
    Client client(worker.port());
    client.send(connect_request);
    const auto request = broker.expect<net::Request>();
    const std::uint16_t nobody = [] {
        FakeVm gone;
        return gone.port();
    }();

    broker.send(net::Link{request.request, "127.0.0.1", nobody});
    const auto failed = broker.expect<net::LinkFailed>();
    CHECK(failed.sentence.find("Connection refused") != std::string::npos);
    CHECK(failed.sentence.find("127.0.0.1:" + std::to_string(nobody)) != std::string::npos);

    broker.send(net::Link{request.request, "not an address", 4100});
    CHECK(broker.expect<net::LinkFailed>().sentence.find("not an address") != std::string::npos);

    FakeVm vm;
    broker.send(net::Link{request.request, "127.0.0.1", vm.port()});
    broker.expect<net::Linked>();
}

TEST_CASE("a VM that closes between Linked and Switch costs the client a sentence, not a window") {
    Site site;
    Client client(site.worker.port());
    client.send(connect_request);
    const auto request = site.broker.expect<net::Request>();
    FakeVm vm;
    site.broker.send(net::Link{request.request, "127.0.0.1", vm.port()});
    vm.accept().reset();
    site.broker.expect<net::Linked>();
    site.broker.send(net::Switch{request.request, Secret("key")});

    CHECK(client.read_reply().status == 503);
    CHECK(site.broker.expect<net::Ended>().reason == "vm closed");
}

TEST_CASE("bytes that the client sends behind its request reach the VM after the 101") {
    Site site;
    Client client(site.worker.port());
    client.send(std::string(connect_request) + "NXPROXY-3.5.0 ");
    const auto request = site.broker.expect<net::Request>();
    FakeVm vm;
    site.broker.send(net::Link{request.request, "127.0.0.1", vm.port()});
    const UniqueFd screen = vm.accept();
    site.broker.expect<net::Linked>();
    site.broker.send(net::Switch{request.request, Secret("key")});
    client.send("more");

    CHECK(receive_exactly(screen.get(), 18) == "NXPROXY-3.5.0 more");
}

TEST_CASE("a relay passes 50 MB each way unchanged, in pieces of any size") {
    bool tls = true;
    SUBCASE("over TLS") {
    }
    SUBCASE("plain") {
        tls = false;
    }
    Identity server = self_signed("node");
    RunningWorker worker;
    net::Configure configure = configuration(server);
    configure.use_tls = tls;
    ScriptedBroker broker = worker.add_broker(configure);
    Client::Options options;
    options.tls = tls;
    Session session = start_session(worker, broker, options);
    constexpr std::size_t total = 50'000'000;
    const std::string down = random_bytes(total, 1);
    const std::string up = random_bytes(total, 2);

    const auto send_in_pieces = [](const std::string& bytes, unsigned seed, const auto& send) {
        std::mt19937 generator(seed);
        for (std::size_t at = 0; at < bytes.size();) {
            const std::size_t piece =
                std::min<std::size_t>(1 + generator() % 100'000, bytes.size() - at);
            if (!send(std::string_view(bytes).substr(at, piece))) return;
            at += piece;
        }
    };
    // OpenSSL's client is one thread's: down, then up, while the VM does both at once.
    std::thread vm_sends([&] {
        send_in_pieces(down, 3,
                       [&](std::string_view piece) { return send_all(session.vm.get(), piece); });
    });
    CHECK(session.client.read_exactly(total) == down);
    vm_sends.join();
    std::string received;
    std::thread vm_receives([&] { received = receive_exactly(session.vm.get(), total); });
    send_in_pieces(up, 4, [&](std::string_view piece) { return session.client.send(piece); });
    vm_receives.join();
    CHECK(received == up);

    session.client.close();
    CHECK(receive_exactly(session.vm.get(), 1).empty());
    session.vm.reset();
    const auto ended = broker.expect<net::Ended>();
    CHECK(ended.request == session.request);
    CHECK(ended.bytes_down == total);
    CHECK(ended.bytes_up == total);
    CHECK(ended.reason == "client closed");
}

TEST_CASE("what the VM said before it closed still arrives, and the client may still speak") {
    Site site;
    Session session = start_session(site.worker, site.broker);
    const std::string last_words = random_bytes(300'000, 5);
    std::thread vm_sends([&] {
        send_all(session.vm.get(), last_words);
        ::shutdown(session.vm.get(), SHUT_WR);
    });
    CHECK(session.client.read_exactly(last_words.size()) == last_words);
    CHECK(session.client.read_record().empty());
    vm_sends.join();

    session.client.send("bye");
    CHECK(receive_exactly(session.vm.get(), 3) == "bye");
    session.client.close();

    CHECK(receive_exactly(session.vm.get(), 1).empty());
    CHECK(site.broker.expect<net::Ended>().reason == "vm closed");
}

TEST_CASE("what the client said before it closed still arrives, and the VM may still speak") {
    Site site;
    Session session = start_session(site.worker, site.broker);
    session.client.send("last words");
    session.client.half_close();
    CHECK(receive_exactly(session.vm.get(), 100) == "last words");

    send_all(session.vm.get(), "answer");
    CHECK(session.client.read_exactly(6) == "answer");
    session.vm.reset();

    CHECK(site.broker.expect<net::Ended>().reason == "client closed");
}

TEST_CASE("a relay of which one side has ended is ended once it falls silent") {
    RunningWorker worker;
    net::Configure configure = configuration(self_signed("node"));
    configure.half_close_ms = 100;
    ScriptedBroker broker = worker.add_broker(configure);
    Session session = start_session(worker, broker);

    ::shutdown(session.vm.get(), SHUT_WR);

    // Neither the client nor the VM closes its own side.
    CHECK(broker.expect<net::Ended>().reason == "vm closed");
    CHECK(session.client.read_record().empty());
    CHECK(receive_exactly(session.vm.get(), 1).empty());
}

TEST_CASE("an aborted relay ends at once on both sides") {
    Site site;
    Session session = start_session(site.worker, site.broker);

    site.broker.send(net::Abort{session.request});

    CHECK(session.client.read_record().empty());
    CHECK(receive_exactly(session.vm.get(), 1).empty());
    CHECK(site.broker.expect<net::Ended>().reason == "aborted");
}

TEST_CASE("a VM whose connection breaks is reported as vanished") {
    Site site;
    Session session = start_session(site.worker, site.broker);
    const linger reset{1, 0};
    ::setsockopt(session.vm.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    session.vm.reset();

    CHECK(session.client.read_record().empty());
    CHECK(site.broker.expect<net::Ended>().reason.starts_with("vm vanished: "));
}
