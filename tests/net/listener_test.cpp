#include "net/listener.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

using namespace qvd::net;

namespace {

// A connection to this very program, its two ends.
struct Connection {
    Connection() {
        const auto listener = listen_on("*", 0).value();
        CHECK_FALSE(accept_client(listener.get()).value().has_value());
        begun = begin_connect("127.0.0.1", port_of(listener.get()).value()).value();
        pollfd waiting{listener.get(), POLLIN, 0};
        REQUIRE(::poll(&waiting, 1, 5000) == 1);
        auto found = accept_client(listener.get()).value();
        REQUIRE(found.has_value());
        accepted = std::move(*found);
    }
    qvd::UniqueFd begun;
    Accepted accepted;
};

int option(int socket, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    REQUIRE(::getsockopt(socket, level, name, &value, &size) == 0);
    return value;
}

}  // namespace

TEST_CASE("a listener on all addresses hears IPv4, and tells the address as IPv4") {
    CHECK(Connection().accepted.address == "127.0.0.1");
}

TEST_CASE("both sides of a session send at once, and notice a machine that has died") {
    const Connection connection;
    for (const int socket : {connection.begun.get(), connection.accepted.socket.get()}) {
        CHECK(option(socket, IPPROTO_TCP, TCP_NODELAY) == 1);
        CHECK(option(socket, SOL_SOCKET, SO_KEEPALIVE) == 1);
        // One that is silent, within a minute; one that takes nothing, within two.
        CHECK(option(socket, IPPROTO_TCP, TCP_KEEPIDLE) +
                  option(socket, IPPROTO_TCP, TCP_KEEPINTVL) *
                      option(socket, IPPROTO_TCP, TCP_KEEPCNT) <=
              60);
        const int patience = option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT);
        CHECK(patience > 0);
        CHECK(patience <= 120'000);
    }
}

TEST_CASE("an address that is none is refused by name") {
    CHECK(listen_on("localhost", 0).error().code() == "listener.address");
    CHECK(listen_on("203.0.113.1", 0).error().code() == "listener.bind");
    CHECK(begin_connect("vm.example", 4100).error().code() == "connect.address");
    CHECK(begin_connect("10.0.0.1", 0).error().code() == "connect.address");
}
