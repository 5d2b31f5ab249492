// Requests as real clients write them, and the answers as they read them (protocol A2, A3).
#include "tests/l7r/fixture.hpp"

using namespace qvd;
using namespace qvd::test;

namespace {

net::Reply ok(std::uint64_t request, std::string body = "I am alive!\r\n") {
    net::Reply reply;
    reply.request = request;
    reply.status = 200;
    reply.headers = {{"Content-Type", "text/plain"}};
    reply.body = std::move(body);
    return reply;
}

struct Site {
    Identity server = self_signed("node");
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(server));
};

}  // namespace

TEST_CASE("a worker says who it is, and that it accepts once it is configured") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker();
    CHECK(worker.hello().worker == "l7r-test");
    CHECK(worker.hello().relays.empty());

    broker.send(configuration(self_signed("node")));

    worker.report<net::report::Ready>();
}

TEST_CASE(
    "a request with bare line feeds, without Host, after blank lines and with a fold is read") {
    Site site;
    Client client(site.worker.port());
    client.send(
        "\r\n\nGET /qvd/list_of_vm? HTTP/1.1\nauthorization: Basic abc\nX-Long: one\n  two\n\n");

    const auto request = site.broker.expect<net::Request>();

    CHECK(request.method == "GET");
    CHECK(request.target == "/qvd/list_of_vm?");
    CHECK(request.client_address == "127.0.0.1");
    CHECK_FALSE(request.client_certificate);
    CHECK(request.headers == net::Headers{{"authorization", "Basic abc"}, {"X-Long", "one two"}});
}

TEST_CASE("a request that comes byte by byte is read like any other") {
    Site site;
    Client client(site.worker.port());
    const std::string request = "GET /qvd/ping HTTP/1.1\r\nHost: node\r\n\r\n";
    for (const char c : request) client.send({&c, 1});

    CHECK(site.broker.expect<net::Request>().target == "/qvd/ping");
}

TEST_CASE("an answer has CR LF, a reason, canonical names and an exact length in one record") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    site.broker.send(ok(site.broker.expect<net::Request>().request));

    CHECK(client.read_record() ==
          "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\n"
          "I am alive!\r\n");
}

TEST_CASE("an answer without a body gets one, since Qt waits for ever without") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /nothing HTTP/1.1\r\n\r\n");
    net::Reply reply = ok(site.broker.expect<net::Request>().request, "");
    reply.status = 404;
    site.broker.send(reply);

    const Received received = client.read_reply();

    CHECK(received.status == 404);
    CHECK(received.body == "404 Not Found\r\n");
}

TEST_CASE("text from the broker cannot add header lines") {
    Site site;
    Client client(site.worker.port());
    client.send("GET / HTTP/1.1\r\n\r\n");
    net::Reply reply = ok(site.broker.expect<net::Request>().request);
    reply.headers.emplace_back("X-Why", "a\r\nX-Evil: b");
    reply.headers.emplace_back("Content-Length", "99999");
    site.broker.send(reply);

    const Received received = client.read_reply();

    CHECK(received.head.find("\r\nX-Evil") == std::string::npos);
    CHECK(received.head.find("X-Why: a  X-Evil: b\r\n") != std::string::npos);
    CHECK(received.body == "I am alive!\r\n");
}

TEST_CASE("one kept connection carries many requests, also pipelined ones, in order") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\n\nGET /3 HTTP/1.1\r\n\r\n");
    std::uint64_t connection = 0;
    for (const std::string target : {"/1", "/2", "/3"}) {
        const auto request = site.broker.expect<net::Request>();
        CHECK(request.target == target);
        CHECK((connection == 0 || connection == request.connection));
        connection = request.connection;
        site.broker.send(ok(request.request, target));
        CHECK(client.read_reply().body == target);
    }
    client.close();
    CHECK(site.broker.expect<net::ConnectionClosed>().connection == connection);
}

TEST_CASE("Connection: close is honoured") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /qvd/ping HTTP/1.1\r\nConnection: close\r\n\r\n");
    site.broker.send(ok(site.broker.expect<net::Request>().request));

    CHECK(client.read_reply().head.find("\r\nConnection: close\r\n") != std::string::npos);
    CHECK(client.read_record().empty());
}

TEST_CASE("a HEAD request gets no body") {
    Site site;
    Client client(site.worker.port());
    client.send("HEAD /qvd/ping HTTP/1.1\r\nConnection: close\r\n\r\n");
    site.broker.send(ok(site.broker.expect<net::Request>().request));

    CHECK(client.read_record().ends_with("\r\n\r\n"));
    CHECK(client.read_record().empty());
}

TEST_CASE("what is no HTTP/1.1 request gets its code, a sentence and the end") {
    struct Case {
        const char* name;
        std::string bytes;
        int status;
    };
    const Case wrong[] = {
        {"garbage", "hello\r\n\r\n", 400},
        {"a control character", std::string("GET /\0 HTTP/1.1\r\n\r\n", 19), 400},
        {"another version", "GET / HTTP/1.0\r\n\r\n", 505},
        {"the preface of h2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"a header without a colon", "GET / HTTP/1.1\r\nHost\r\n\r\n", 400},
        {"a blank before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400},
        {"a body", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400},
        {"a chunked body", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"a head beyond 16 KiB", "GET / HTTP/1.1\r\nA: " + std::string(17'000, 'x'), 431},
        {"300 headers",
         "GET / HTTP/1.1\r\n" +
             [] {
                 std::string lines;
                 for (int i = 0; i < 300; ++i) lines += "a: b\r\n";
                 return lines;
             }(),
         431},
    };
    Site site;
    for (const Case& c : wrong) {
        CAPTURE(c.name);
        Client client(site.worker.port());
        client.send(c.bytes);
        const Received received = client.read_reply();
        CHECK(received.status == c.status);
        CHECK(received.body.size() > 10);
        CHECK(client.read_record().empty());
    }
    CHECK(site.broker.quiet());
}

TEST_CASE("a refused connect_to_vm is written as two records and the connection ends") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /qvd/connect_to_vm?id=7 HTTP/1.1\nConnection: Upgrade\nUpgrade: QVD/1.0\n\n");
    net::Reply reply = ok(site.broker.expect<net::Request>().request, "not found\r\n");
    reply.status = 404;
    reply.upgrade_failed = true;
    site.broker.send(reply);

    const std::string head = client.read_record();
    CHECK(head.starts_with("HTTP/1.1 404 Not Found\r\n"));
    CHECK(head.ends_with("\r\n\r\n"));
    CHECK(client.read_record() == "not found\r\n");
    CHECK(client.read_record().empty());
}

TEST_CASE("an error body is also a packet of its own without TLS") {
    RunningWorker worker;
    net::Configure configure = configuration({});
    configure.use_tls = false;
    ScriptedBroker broker = worker.add_broker(configure);
    Client::Options plain;
    plain.tls = false;
    Client client(worker.port(), plain);
    client.send("GET /qvd/connect_to_vm HTTP/1.1\n\n");
    net::Reply reply = ok(broker.expect<net::Request>().request, "no id\r\n");
    reply.status = 422;
    reply.upgrade_failed = true;
    broker.send(reply);

    const Received received = client.read_reply();

    CHECK(received.status == 422);
    CHECK(received.body == "no id\r\n");
    CHECK(client.read_record().empty());
}

TEST_CASE("a client that leaves before its answer is reported gone") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /qvd/connect_to_vm?id=1 HTTP/1.1\n\n");
    const auto request = site.broker.expect<net::Request>();
    SUBCASE("with a word") {
        client.half_close();
    }
    SUBCASE("without a word") {
        client.close();
    }
    SUBCASE("with more requests than are read") {
        client.send("GET / HTTP/1.1\r\nX: " + std::string(40'000, 'x'));
        client.close();
    }
    CHECK(site.broker.expect<net::Gone>().request == request.request);
    CHECK(site.broker.expect<net::ConnectionClosed>().connection == request.connection);
}

TEST_CASE("frames about requests that are over, or not at that point, change nothing") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /1 HTTP/1.1\r\n\r\n");
    const auto request = site.broker.expect<net::Request>();
    site.broker.send(net::Switch{request.request, Secret("key")});
    site.broker.send(net::Abort{4711});
    CHECK(site.broker.expect<net::Ended>().request == 4711);
    site.broker.send(net::Gone{request.request});
    site.broker.send(ok(request.request, "first"));
    site.broker.send(ok(request.request, "second"));
    CHECK(client.read_reply().body == "first");

    client.send("GET /2 HTTP/1.1\r\n\r\n");
    const auto next = site.broker.expect<net::Request>();
    CHECK(next.request != request.request);
    site.broker.send(ok(next.request, "third"));
    CHECK(client.read_reply().body == "third");
}

TEST_CASE("an aborted request ends its connection unanswered") {
    Site site;
    Client client(site.worker.port());
    client.send("GET /qvd/connect_to_vm?id=1 HTTP/1.1\n\n");
    const auto request = site.broker.expect<net::Request>();

    site.broker.send(net::Abort{request.request});

    CHECK(client.read_record().empty());
    CHECK(site.broker.expect<net::ConnectionClosed>().connection == request.connection);
}
