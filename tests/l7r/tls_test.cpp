// TLS as clients meet it (protocol A1).
#include "tests/l7r/fixture.hpp"

using namespace qvd;
using namespace qvd::test;
using namespace std::string_view_literals;

namespace {

void answer_next(ScriptedBroker& broker) {
    net::Reply reply;
    reply.request = broker.expect<net::Request>().request;
    reply.status = 200;
    reply.body = "ok";
    broker.send(reply);
}

// Asks once, so that the client has read its session ticket.
std::shared_ptr<SSL_SESSION> use(Client& client, ScriptedBroker& broker) {
    REQUIRE(client.connected());
    client.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    answer_next(broker);
    CHECK(client.read_reply().body == "ok");
    return client.session();
}

Client::Options resuming(const std::shared_ptr<SSL_SESSION>& session, int version = 0) {
    Client::Options options;
    options.session = session.get();
    options.version = version;
    return options;
}

}  // namespace

TEST_CASE("h2 is never chosen") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(self_signed("node")));
    Client::Options options;
    options.alpn = "\x02h2\x08http/1.1"sv;
    CHECK(Client(worker.port(), options).alpn() == "http/1.1");
    options.alpn = "\x02h2"sv;
    Client only_h2(worker.port(), options);
    CHECK(only_h2.connected());
    CHECK(only_h2.alpn().empty());
}

TEST_CASE("TLS 1.2 and 1.3 are spoken, older versions are not") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(self_signed("node")));
    Client::Options options;
    options.version = TLS1_3_VERSION;
    CHECK(Client(worker.port(), options).connected());
    options.version = TLS1_2_VERSION;
    CHECK(Client(worker.port(), options).connected());
    options.version = TLS1_1_VERSION;
    CHECK_FALSE(Client(worker.port(), options).connected());
}

TEST_CASE("a session is resumed, also at another worker of the same broker") {
    int version = 0;
    SUBCASE("TLS 1.2") {
        version = TLS1_2_VERSION;
    }
    SUBCASE("TLS 1.3") {
        version = TLS1_3_VERSION;
    }
    net::Configure configure = configuration(self_signed("node"));
    configure.ticket_secret = Secret("shared by the workers");
    RunningWorker first;
    RunningWorker second;
    ScriptedBroker broker_of_first = first.add_broker(configure);
    ScriptedBroker broker_of_second = second.add_broker(configure);
    Client::Options options;
    options.version = version;
    Client client(first.port(), options);
    const auto session = use(client, broker_of_first);
    CHECK_FALSE(client.resumed());

    Client again(first.port(), resuming(session, version));
    const auto next = use(again, broker_of_first);
    CHECK(again.resumed());
    Client elsewhere(second.port(), resuming(next, version));
    use(elsewhere, broker_of_second);
    CHECK(elsewhere.resumed());
}

TEST_CASE("a new certificate is used by new connections, and kept ones go on") {
    RunningWorker worker;
    ScriptedBroker broker = worker.add_broker(configuration(self_signed("old")));
    Client kept(worker.port());
    CHECK(kept.peer_name() == "old");

    broker.send(configuration(self_signed("new")));
    CHECK(worker.report<net::report::Status>().text.empty());

    CHECK(Client(worker.port()).peer_name() == "new");
    use(kept, broker);
}

TEST_CASE("bad TLS material is reported by name and the old certificate stays") {
    RunningWorker worker;
    const Identity good = self_signed("good");
    ScriptedBroker broker = worker.add_broker(configuration(good));
    const auto refusal_of = [&](const net::Configure& configure) {
        broker.send(configure);
        std::string sentence = worker.report<net::report::Status>().text;
        CHECK(Client(worker.port()).peer_name() == "good");
        return sentence;
    };
    net::Configure configure = configuration(good);
    configure.certificate = "no PEM";
    CHECK(refusal_of(configure).find("l7r.ssl.cert") != std::string::npos);
    configure = configuration(good);
    configure.key = Secret("no PEM");
    CHECK(refusal_of(configure).find("l7r.ssl.key") != std::string::npos);
    configure.key = Secret(self_signed("other").key);
    CHECK(refusal_of(configure) ==
          "l7r.ssl.key is not the key of l7r.ssl.cert: key values mismatch");
    configure = configuration(good);
    configure.ciphers = "NO-SUCH-CIPHER";
    CHECK(refusal_of(configure).find("NO-SUCH-CIPHER") != std::string::npos);
    configure = configuration(good);
    configure.require_client_certificate = true;
    CHECK(refusal_of(configure).find("l7r.ssl.ca") != std::string::npos);
    configure.client_ca = Authority().certificate();
    configure.client_crl = "no PEM";
    CHECK(refusal_of(configure).find("l7r.ssl.crl") != std::string::npos);
}

TEST_CASE("a required client certificate is a gate, and the revocation list is kept") {
    const Authority authority;
    const Authority stranger;
    const Identity alice = authority.issue("alice", 100);
    const Identity mallory = stranger.issue("mallory", 100);
    RunningWorker worker;
    net::Configure configure = configuration(self_signed("node"));
    configure.require_client_certificate = true;
    configure.client_ca = authority.certificate();
    configure.ticket_secret = Secret("tickets");
    ScriptedBroker broker = worker.add_broker(configure);
    const auto is_let_in = [&](const Identity* identity, SSL_SESSION* session = nullptr) {
        Client::Options options;
        options.identity = identity;
        options.session = session;
        Client client(worker.port(), options);
        // With TLS 1.3 the client hears of the refusal when it reads.
        if (!client.connected()) return false;
        client.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
        client.half_close();
        return client.read_record().empty() && !broker.quiet();
    };
    Client::Options options;
    options.identity = &alice;
    Client client(worker.port(), options);
    REQUIRE(client.connected());
    client.send("GET /qvd/ping HTTP/1.1\r\n\r\n");
    const auto request = broker.expect<net::Request>();
    CHECK(request.client_certificate);
    net::Reply reply;
    reply.request = request.request;
    reply.status = 200;
    broker.send(reply);
    CHECK(client.read_reply().status == 200);
    const auto session = client.session();

    CHECK_FALSE(is_let_in(nullptr));
    CHECK_FALSE(is_let_in(&mallory));

    // A ticket from before must not let a revoked certificate in.
    configure.client_crl = authority.revoke({100});
    broker.send(configure);
    CHECK(worker.report<net::report::Status>().text.empty());
    CHECK_FALSE(is_let_in(&alice));
    CHECK_FALSE(is_let_in(&alice, session.get()));
    const Identity bob = authority.issue("bob", 101);
    CHECK(is_let_in(&bob));
}

TEST_CASE("a stalled ClientHello is reaped") {
    RunningWorker worker;
    net::Configure configure = configuration(self_signed("node"));
    configure.first_byte_ms = 100;
    ScriptedBroker broker = worker.add_broker(configure);
    const UniqueFd silent = connect_to(worker.port());
    const UniqueFd stalled = connect_to(worker.port());
    // The beginning of a record that is a ClientHello.
    send_all(stalled.get(), "\x16\x03\x01\x01\x00\x01\x00"sv);

    CHECK(receive_exactly(silent.get(), 1).empty());
    CHECK(receive_exactly(stalled.get(), 1).empty());
}

TEST_CASE("after the ClientHello a person may look at the certificate, but not for ever") {
    RunningWorker worker;
    net::Configure configure = configuration(self_signed("node"));
    configure.first_byte_ms = 50;
    configure.question_ms = 400;
    ScriptedBroker broker = worker.add_broker(configure);
    const auto began = std::chrono::steady_clock::now();
    Client client(worker.port());
    CHECK(client.connected());

    CHECK(client.read_record().empty());
    CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(400));
}
