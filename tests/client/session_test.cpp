// connect_to_vm and the relay, on Dialogue itself: no X display is needed for that.
#include "client/dialogue.hpp"
#include "client/relay.hpp"
#include "tests/client/test_server.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <thread>

using namespace qvd;
using namespace qvd::client;
using namespace qvd::testing;

namespace {

class Nobody final : public Person {
public:
    [[nodiscard]] bool present() const override { return false; }
    Result<std::string> ask(const std::string& question) override {
        return Error{ErrorKind::internal, "asked", question};
    }
    Result<Secret> ask_hidden(const std::string& question) override {
        return Error{ErrorKind::internal, "asked", question};
    }
};

// A dialogue with a server that holds `conversation`, and the progress it told.
struct Talk {
    explicit Talk(TestServer::Conversation conversation)
        : server(make_identity("localhost"), std::move(conversation)) {}

    TestServer server;
    Nobody nobody;
    CertificateJudge judge{{false, {}, ""}, nobody};
    SslContext context = make_tls_context({"/nonexistent", "", ""}).value();
    Dialogue dialogue{
        {"localhost", server.port(), true}, {"bob", Secret{"secret"}}, context.get(), judge, -1};
    std::vector<std::string> told;
    Progress progress = [this](const std::string& text) { told.push_back(text); };
};

const Parameters parameters{{"qvd.client.geometry", "800x600"},
                            {"qvd.client.keyboard", "pc105/es"},
                            {"qvd.client.nxagent.extra_args", ""}};

std::string two_records(Peer& peer, int code, const std::string& body) {
    std::string whole = http_reply(code, body);
    const std::size_t head = whole.find("\r\n\r\n") + 4;
    peer.record(whole.substr(0, head));
    peer.record(whole.substr(head));
    return whole;
}

}  // namespace

TEST_CASE("list, stop and connect go over one connection, with the session's parameters") {
    std::vector<std::string> heads;
    Talk talk{[&](Peer& peer) {
        heads.push_back(peer.request());
        peer.record(
            http_reply(200, R"([{"id": 7, "name": "d", "state": "running", "blocked": 0}])"));
        heads.push_back(peer.request());
        peer.record(progress_head("Stopping virtual machine") +
                    http_reply(200, "Machine stopped\r\n"));
        heads.push_back(peer.request());
        peer.record(switching_head);
        (void)peer.bytes();
    }};
    CHECK(talk.dialogue.list_vms().value().size() == 1);
    CHECK(talk.dialogue.stop_vm(7, talk.progress).ok());
    { CHECK(talk.dialogue.connect_to_vm(7, parameters, talk.progress).ok()); }
    CHECK(talk.server.connections() == 1);
    CHECK(talk.told == std::vector<std::string>{"Stopping virtual machine"});
    CHECK(heads[1].starts_with("GET /qvd/stop_vm?id=7 HTTP/1.1\r\n"));
    CHECK(
        heads[2].starts_with("GET /qvd/connect_to_vm?id=7&qvd.client.geometry=800x600"
                             "&qvd.client.keyboard=pc105%2Fes HTTP/1.1\r\n"));
    CHECK(heads[2].find("\r\nConnection: Upgrade\r\nUpgrade: QVD/1.0") != std::string::npos);
}

TEST_CASE("progress coalesced with the 101 is told, and what follows belongs to the session") {
    Talk talk{[](Peer& peer) {
        (void)peer.request();
        peer.record(progress_head("Starting virtual machine"));
        peer.record(progress_head("one") + progress_head("two") + switching_head + "early");
        (void)peer.bytes();
    }};
    auto session = talk.dialogue.connect_to_vm(7, parameters, talk.progress);
    REQUIRE(session.ok());
    CHECK(session.value().first_bytes == "early");
    CHECK(talk.told == std::vector<std::string>{"Starting virtual machine", "one", "two"});
}

TEST_CASE("an error in one record, in two, or without a length is read to its end") {
    const std::string body = "The requested virtual machine is offline for maintenance";
    const std::vector<std::function<void(Peer&)>> ways{
        [&](Peer& peer) { peer.record(http_reply(403, body)), (void)peer.bytes(); },
        [&](Peer& peer) { two_records(peer, 403, body), (void)peer.bytes(); },
        [&](Peer& peer) { peer.record("HTTP/1.1 403 Forbidden\r\n\r\n" + body); }};
    for (const auto& answer : ways) {
        Talk talk{[&answer](Peer& peer) { (void)peer.request(), answer(peer); }};
        const auto refused = talk.dialogue.connect_to_vm(7, parameters, talk.progress);
        CHECK(refused.error().code() == "server.refused");
        CHECK(refused.error().sentence() == body + " (403)");
    }
}

TEST_CASE("a server that closes after each reply is asked on a new connection") {
    Talk talk{[](Peer& peer) {
        (void)peer.request();
        peer.record(http_reply(200, "[]", "Connection: close\r\n"));
    }};
    CHECK(talk.dialogue.list_vms().ok());
    CHECK(talk.dialogue.list_vms().ok());
    CHECK(talk.server.connections() == 2);
}

TEST_CASE("a machine that has gone is told apart from a server that cannot") {
    Talk gone{[](Peer& peer) {
        (void)peer.request();
        peer.record(http_reply(404, "The requested virtual machine does not exist"));
    }};
    CHECK(gone.dialogue.connect_to_vm(7, {}, {}).error().code() == "vm.unknown");
    Talk dead{[](Peer& peer) { (void)peer.request(); }};
    const auto closed = dead.dialogue.connect_to_vm(7, {}, {});
    CHECK(closed.error().code() == "network.closed");
    CHECK(closed.error().sentence().starts_with("localhost:"));
}

TEST_CASE("the relay carries megabytes both ways at once, and ends when the server ends") {
    constexpr std::size_t size = 8U << 20U;
    Talk talk{[](Peer& peer) {
        (void)peer.request();
        peer.record(switching_head);
        // What comes goes back.
        std::size_t echoed = 0;
        while (echoed < size) {
            const std::string bytes = peer.bytes();
            if (bytes.empty()) return;
            peer.record(bytes);
            echoed += bytes.size();
        }
    }};
    auto session = talk.dialogue.connect_to_vm(7, {}, {});
    REQUIRE(session.ok());
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    const UniqueFd mine{ends[0]};
    const UniqueFd relayed{ends[1]};
    ::fcntl(relayed.get(), F_SETFL, O_NONBLOCK);

    std::string sent(size, '\0');
    for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<char>(i * 2654435761U >> 13U);
    std::string received;
    std::thread writer([&] {
        for (std::size_t at = 0; at < size;) {
            const ssize_t wrote = ::send(mine.get(), sent.data() + at, size - at, MSG_NOSIGNAL);
            if (wrote <= 0) return;
            at += static_cast<std::size_t>(wrote);
        }
    });
    std::thread reader([&] {
        std::array<char, 65536> chunk{};
        for (ssize_t got = 1; got > 0;) {
            got = ::recv(mine.get(), chunk.data(), chunk.size(), 0);
            if (got > 0) received.append(chunk.data(), static_cast<std::size_t>(got));
        }
    });
    const RelayEnd end = relay(session.value().connection, relayed.get(), "", -1);
    writer.join();
    reader.join();
    CHECK(end == RelayEnd::server_closed);
    CHECK((received == sent));
}

TEST_CASE("the relay ends when the display ends, and says so to the server") {
    bool told = false;
    {
        Talk talk{[&](Peer& peer) {
            (void)peer.request();
            peer.record(switching_head);
            told = peer.bytes().empty();
        }};
        auto session = talk.dialogue.connect_to_vm(7, {}, {});
        REQUIRE(session.ok());
        std::array<int, 2> ends{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) ==
                0);
        UniqueFd mine{ends[0]};
        const UniqueFd relayed{ends[1]};
        mine.reset();
        CHECK(relay(session.value().connection, relayed.get(), "", -1) == RelayEnd::display_closed);
    }
    CHECK(told);
}
