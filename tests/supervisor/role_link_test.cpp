#include "net/role_link.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <filesystem>

using namespace qvd::net;
using qvd::UniqueFd;

namespace {

UniqueFd some_fd() {
    return UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

// What a role in an attacker's hands could do.
void send_descriptors(int socket, std::string text, const std::array<int, 2>& descriptors) {
    iovec part{text.data(), text.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof descriptors)> space{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = space.data();
    message.msg_controllen = space.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptors);
    std::memcpy(CMSG_DATA(header), descriptors.data(), sizeof descriptors);
    REQUIRE(::sendmsg(socket, &message, 0) >= 0);
}

std::ptrdiff_t open_descriptors() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

}  // namespace

TEST_CASE("descriptors that nobody asked for are closed") {
    auto ends = role_sockets().value();
    const UniqueFd given = some_fd();
    const auto before = open_descriptors();
    send_descriptors(ends.second.get(), encode_report(report::Ready{}), {given.get(), given.get()});
    CHECK(receive_report(ends.first.get()).value().has_value());
    CHECK(open_descriptors() == before);
}

TEST_CASE("the last words of a role that ended without listening arrive") {
    auto ends = role_sockets().value();
    REQUIRE(send_order(ends.first.get(), Order{order::Drain{}, {}}).ok());
    {
        RoleLink link(std::move(ends.second), Role::broker, "broker-0");
        REQUIRE(link.send(report::Exiting{"the database is gone"}).ok());
    }
    const auto last = receive_report(ends.first.get());
    REQUIRE(last.ok());
    REQUIRE(last.value().has_value());
    CHECK(std::get<report::Exiting>(**last).reason == "the database is gone");
    CHECK(receive_report(ends.first.get()).error().code() == "role_link.closed");
}

TEST_CASE("every report arrives as it was sent") {
    auto ends = role_sockets().value();
    RoleLink link(std::move(ends.second), Role::broker, "broker-0");
    REQUIRE(link.send(report::Ready{}).ok());
    REQUIRE(link.send(report::Alive{5, 6, 7, "a call"}).ok());
    REQUIRE(link.send(report::Status{"unconfigured: x"}).ok());
    REQUIRE(link.send(report::Exiting{"bye"}).ok());
    REQUIRE(link.send(report::Setting{"l7r.port", "1"}).ok());
    REQUIRE(link.send(report::Setting{"l7r.port", std::nullopt}).ok());
    REQUIRE(link.send(report::Lease{"/g", 1ULL << 40U}).ok());
    const auto next = [&] { return receive_report(ends.first.get()).value().value(); };
    CHECK(std::holds_alternative<report::Ready>(next()));
    const auto alive = std::get<report::Alive>(next());
    CHECK(alive.valid_ms == 5);
    CHECK(alive.load == 6);
    CHECK(alive.overdue_ms == 7);
    CHECK(alive.overdue_call == "a call");
    CHECK(std::get<report::Status>(next()).text == "unconfigured: x");
    CHECK(std::get<report::Exiting>(next()).reason == "bye");
    CHECK(std::get<report::Setting>(next()).value == "1");
    CHECK_FALSE(std::get<report::Setting>(next()).value.has_value());
    CHECK(std::get<report::Lease>(next()).boottime_ms == 1ULL << 40U);
    CHECK_FALSE(receive_report(ends.first.get()).value().has_value());
}

TEST_CASE("every order arrives as it was sent, with its descriptor") {
    auto ends = role_sockets().value();
    RoleLink link(std::move(ends.second), Role::l7r, "l7r-0");
    const int supervisor = ends.first.get();
    REQUIRE(send_order(supervisor, {order::Peer{Role::broker, "broker-1"}, some_fd()}).ok());
    REQUIRE(send_order(supervisor, {order::Listen{"*:1"}, some_fd()}).ok());
    REQUIRE(send_order(supervisor, {order::Drain{9}, {}}).ok());
    REQUIRE(send_order(supervisor, {order::Stop{}, {}}).ok());
    REQUIRE(send_order(supervisor, {order::Evacuate{}, {}}).ok());
    REQUIRE(send_order(supervisor, {order::Lifeline{}, some_fd()}).ok());
    REQUIRE(send_order(supervisor, {order::Log{}, some_fd()}).ok());
    const auto next = [&] { return std::move(link.try_receive().value().value()); };
    const Order peer = next();
    CHECK(std::get<order::Peer>(peer.what).instance == "broker-1");
    CHECK(std::get<order::Peer>(peer.what).role == Role::broker);
    CHECK(::fcntl(peer.fd.get(), F_GETFD) == FD_CLOEXEC);
    CHECK(std::get<order::Listen>(next().what).address == "*:1");
    CHECK(std::get<order::Drain>(next().what).timeout_ms == 9);
    CHECK(std::holds_alternative<order::Stop>(next().what));
    CHECK(std::holds_alternative<order::Evacuate>(next().what));
    CHECK(static_cast<bool>(next().fd));
    CHECK(std::holds_alternative<order::Log>(next().what));
    CHECK_FALSE(link.try_receive().value().has_value());
    ends.first.reset();
    CHECK(link.try_receive().error().code() == "role_link.closed");
}

TEST_CASE("a message cut short anywhere, or of no kind, is refused") {
    const std::string alive = encode_report(report::Alive{1, 2, 3, "x"});
    for (std::size_t size = 0; size < alive.size(); ++size)
        CHECK(decode_report(alive.substr(0, size)).error().code() == "role_link.malformed");
    const std::string peer = encode_order({order::Peer{Role::hkd, "x"}, {}});
    for (std::size_t size = 0; size < peer.size(); ++size)
        CHECK(decode_order(peer.substr(0, size), some_fd()).error().code() ==
              "role_link.malformed");
    for (int tag = 0; tag < 256; ++tag) {
        const std::string one(1, static_cast<char>(tag));
        CHECK(decode_order(one, {}).ok() == (tag == 4 || tag == 5));
        CHECK(decode_report(one).ok() == (tag == 65));
    }
    CHECK_FALSE(decode_order(peer, {}).ok());
    CHECK_FALSE(decode_order(encode_order({order::Stop{}, {}}), some_fd()).ok());
}

TEST_CASE("what a role says cannot command systemd or a terminal") {
    const auto heard = [](const std::string& said) {
        return std::get<report::Status>(decode_report(encode_report(report::Status{said})).value())
            .text;
    };
    CHECK(heard("all is well\nMAINPID=1\nWATCHDOG=trigger") ==
          "all is well MAINPID=1 WATCHDOG=trigger");
    CHECK(heard("\x1b[2J\x7f\r") == " [2J  ");
    CHECK(heard("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80") ==
          "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
    // A control sequence introducer in UTF-8 and bare, and what is cut or no UTF-8 at all.
    CHECK(heard("\xc2\x9b") == "  ");
    CHECK(heard("\x9b") == " ");
    CHECK(heard("\xe2\x82") == "  ");
    CHECK(heard("\xff\xc3(") == "  (");
    CHECK(heard(std::string(5000, 'x')).size() == 1024);
    const auto exiting = decode_report(encode_report(report::Exiting{"a\nb"})).value();
    CHECK(std::get<report::Exiting>(exiting).reason == "a b");
    const auto alive = decode_report(encode_report(report::Alive{1, 2, 3, "a\nb"})).value();
    CHECK(std::get<report::Alive>(alive).overdue_call == "a b");
}

TEST_CASE("a newer version may append a field") {
    CHECK(decode_report(encode_report(report::Status{"x"}) + "more").ok());
}

TEST_CASE("a role that reads nothing does not block the supervisor") {
    auto ends = role_sockets().value();
    qvd::Result<void> sent;
    for (int i = 0; i < 100'000 && sent.ok(); ++i)
        sent = send_order(ends.first.get(), {order::Drain{}, {}});
    REQUIRE_FALSE(sent.ok());
    CHECK(sent.error().code() == "role_link.full");
}
