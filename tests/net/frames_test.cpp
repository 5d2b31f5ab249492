#include "net/frames.hpp"

#include "net/descriptor.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <string>
#include <vector>

using namespace qvd;
using namespace qvd::net;

namespace {

// One of each kind, no field at its default.
std::vector<Frame> one_of_each() {
    Configure configure;
    configure.use_tls = false;
    configure.certificate = "certificate";
    configure.key = Secret("key");
    configure.client_ca = "ca";
    configure.client_crl = "crl";
    configure.require_client_certificate = true;
    configure.ciphers = "HIGH";
    configure.max_head_bytes = 1;
    configure.first_byte_ms = 2;
    configure.head_ms = 3;
    configure.idle_ms = 4;
    configure.connections = 5;
    configure.connections_per_address = 6;
    configure.connect_ms = 7;
    configure.question_ms = 8;
    configure.ticket_secret = Secret("tickets");
    configure.half_close_ms = 9;
    configure.answer_ms = 10;
    configure.workers = 11;
    return {configure,
            Progress{1, "text"},
            Reply{2, 404, {{"A", "b"}, {"C", ""}}, std::string("bo\0dy", 5), true, true},
            Link{3, "10.3.15.2", 4100},
            Switch{4, Secret("slave"), "QVD-Admin/1.0"},
            Abort{5},
            Hello{"l7r-1", {6, 7}, {8}, true, {{"7", "operator:operator:ben"}}},
            Request{8, 9, "::1", "GET", "/x?y", {{"Host", "h"}}, true, true},
            Gone{10},
            ConnectionClosed{11},
            Linked{12},
            LinkFailed{13, "refused"},
            Ended{14, 15, 16, 17, "vm closed"},
            AgentCall{18, 19, 20, "ping", {{"k", "v"}}, 21},
            AgentAnswer{22, AgentAnswer::Outcome::timeout, "no answer"},
            Body{23, std::string("b\0", 2)},
            Connections{24, {{"10.0.0.1", 25}}},
            ControlCall{26, 5, 27, {{"lines", "20"}}, "ann"},
            Attach{28, nullptr}};
}

}  // namespace

TEST_CASE("every kind of frame is read as it was written") {
    const std::vector<Frame> frames = one_of_each();
    REQUIRE(frames.size() == std::variant_size_v<Frame>);
    for (std::size_t kind = 0; kind < frames.size(); ++kind) {
        CAPTURE(kind);
        CHECK(frames[kind].index() == kind);
        const std::string packet = encode(frames[kind]).value();
        const Frame again = decode(packet).value();
        CHECK(again.index() == kind);
        CHECK(encode(again).value() == packet);
    }
    const auto reply = std::get<Reply>(decode(encode(frames[2]).value()).value());
    CHECK(reply.status == 404);
    CHECK(reply.headers == Headers{{"A", "b"}, {"C", ""}});
    CHECK(reply.body == std::string("bo\0dy", 5));
    CHECK(reply.upgrade_failed);
    const auto configure = std::get<Configure>(decode(encode(frames[0]).value()).value());
    CHECK(configure.key.reveal() == "key");
    CHECK(configure.connect_ms == 7);
    CHECK(configure.ticket_secret.reveal() == "tickets");
    CHECK(configure.half_close_ms == 9);
}

TEST_CASE("a packet cut inside a field is malformed, one of an older build has defaults") {
    const std::string packet = encode(Link{3, "10.3.15.2", 4100}).value();
    CHECK(decode(packet.substr(0, packet.size() - 1)).error().code() == "frame.malformed");
    CHECK(decode(packet.substr(0, 12)).error().code() == "frame.malformed");
    const auto older = std::get<Link>(decode(packet.substr(0, packet.size() - 2)).value());
    CHECK(older.address == "10.3.15.2");
    CHECK(older.port == 0);
    CHECK(std::get<Link>(decode(packet + "of a newer build").value()).port == 4100);
}

TEST_CASE("whatever is no frame is refused") {
    CHECK(decode("").error().code() == "frame.malformed");
    CHECK(decode("\x01\x05").error().code() == "frame.malformed");
    CHECK(decode("\x02\x05"
                 "12345678")
              .error()
              .code() == "frame.malformed");
    CHECK(decode("\x01\x63"
                 "12345678")
              .error()
              .code() == "frame.unknown");
    std::string flag = encode(Request{}).value();
    flag.back() = 2;
    CHECK(decode(flag).error().code() == "frame.malformed");
    std::string outcome = encode(AgentAnswer{}).value();
    outcome[10] = 5;
    CHECK(decode(outcome).error().code() == "frame.malformed");
    // A count that no packet could hold.
    std::string hello = encode(Hello{"", {}}).value();
    hello.replace(hello.size() - 5, 4, "\xff\xff\xff\xff");
    CHECK(decode(hello).error().code() == "frame.malformed");
}

TEST_CASE("a frame beyond the limit is not written") {
    Reply reply;
    reply.body.resize(max_frame_bytes);
    CHECK(encode(reply).error().code() == "frame.too_long");
}

TEST_CASE("an agent's words are made printable and short before they travel") {
    AgentAnswer answer;
    answer.text = "a\r\nb" + std::string(2000, 'x');
    const auto read = std::get<AgentAnswer>(decode(encode(answer).value()).value());
    CHECK(read.text.starts_with("a  b"));
    CHECK(read.text.size() == 1024);
    std::string packet = encode(AgentAnswer{1, AgentAnswer::Outcome::ok, "ab"}).value();
    packet.back() = '\n';
    CHECK(decode(packet).error().code() == "frame.malformed");
}

TEST_CASE("the longest frame passes a socket, and an ended one says closed") {
    auto [a, b] = frame_sockets().value();
    Reply reply;
    reply.body.resize(max_frame_bytes - 100, 'x');
    REQUIRE(send_frame(a.get(), reply).ok());
    CHECK(std::get<Reply>(receive_frame(b.get()).value()).body == reply.body);
    b.reset();
    CHECK(send_frame(a.get(), Abort{1}).error().code() == "frame.closed");
    CHECK(receive_frame(a.get()).error().code() == "frame.closed");
}

TEST_CASE("a full or empty non-blocking socket says so and keeps what it has") {
    auto [a, b] = frame_sockets().value();
    ::fcntl(a.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(b.get(), F_SETFL, O_NONBLOCK);
    CHECK(receive_frame(b.get()).error().code() == "frame.would_block");
    std::uint64_t sent = 0;
    Result<void> result;
    while ((result = send_frame(a.get(), Abort{sent + 1})).ok()) ++sent;
    CHECK(result.error().code() == "frame.would_block");
    for (std::uint64_t i = 1; i <= sent; ++i)
        CHECK(std::get<Abort>(receive_frame(b.get()).value()).request == i);
    CHECK(receive_frame(b.get()).error().code() == "frame.would_block");
}

TEST_CASE("a descriptor travels with the frame that needs one, and with no other") {
    auto [one, other] = frame_sockets().value();
    auto ends = frame_sockets().value();
    REQUIRE(
        send_frame(one.get(), Attach{7, std::make_shared<UniqueFd>(std::move(ends.first))}).ok());
    const auto attach = std::get<Attach>(receive_frame(other.get()).value());
    CHECK(attach.request == 7);
    REQUIRE(attach.socket);
    CHECK((::fcntl(attach.socket->get(), F_GETFD) & FD_CLOEXEC) != 0);
    REQUIRE(send_frame(attach.socket->get(), Gone{8}).ok());
    CHECK(std::get<Gone>(receive_frame(ends.second.get()).value()).request == 8);

    REQUIRE(send_frame(one.get(), Attach{9, nullptr}).ok());
    CHECK(receive_frame(other.get()).error().code() == "frame.malformed");
    const std::string gone = encode(Gone{10}).value();
    REQUIRE(send_with_descriptor(one.get(), gone, ends.second.get(), 0) > 0);
    CHECK(receive_frame(other.get()).error().code() == "frame.malformed");
}
