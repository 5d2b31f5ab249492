#include "client/reply.hpp"

#include "client/printable.hpp"

#include <doctest/doctest.h>

using qvd::client::printable;
using qvd::client::Reply;
using qvd::client::ReplyReader;

TEST_CASE("several progress heads and the 101 in one record are told apart") {
    ReplyReader reader;
    reader.feed(
        "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: one\r\n\r\n"
        "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: two\r\n\r\n"
        "HTTP/1.1 101 Switching Protocols\r\nX-QVD-Slave-Key: k\r\n\r\nNXPROXY");
    CHECK(reader.next().value()->header("x-qvd-vm-info") == "one");
    CHECK(reader.next().value()->header("x-qvd-vm-info") == "two");
    CHECK(reader.next().value()->code == 101);
    CHECK(reader.take_rest() == "NXPROXY");
}

TEST_CASE("a reply may come byte by byte") {
    ReplyReader reader;
    const std::string whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    for (const char byte : whole.substr(0, whole.size() - 1)) {
        reader.feed(std::string(1, byte));
        REQUIRE_FALSE(reader.next().value().has_value());
    }
    reader.feed("]");
    CHECK(reader.next().value()->body == "[]");
}

TEST_CASE("bare line feeds and any spelling of a header's name will do") {
    ReplyReader reader;
    reader.feed("\n\r\nHTTP/1.1 503 Busy\ncontent-LENGTH: 3\n\nnow");
    const Reply reply = *reader.next().value();
    CHECK(reply.code == 503);
    CHECK(reply.reason == "Busy");
    CHECK(reply.body == "now");
}

TEST_CASE("a body without a length ends with the connection") {
    ReplyReader reader;
    reader.feed("HTTP/1.1 500 Oops\r\n\r\nsorry");
    CHECK_FALSE(reader.next().value().has_value());
    CHECK(reader.finish().value().body == "sorry");
}

TEST_CASE("a connection that ends inside a reply is an error, not half a reply") {
    ReplyReader reader;
    reader.feed("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n[");
    CHECK_FALSE(reader.next().value().has_value());
    CHECK(reader.finish().error().code() == "network.closed");
    ReplyReader nothing;
    CHECK(nothing.finish().error().code() == "network.closed");
}

TEST_CASE("what is no HTTP is refused with what came instead") {
    ReplyReader reader;
    reader.feed("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    const auto reply = reader.next();
    CHECK(reply.error().code() == "server.protocol");
    CHECK(reply.error().sentence().find("SSH-2.0") != std::string::npos);
}

TEST_CASE("a head or a body without end is refused") {
    ReplyReader head;
    head.feed("HTTP/1.1 200 OK\r\nX: " + std::string(ReplyReader::head_limit, 'x'));
    CHECK(head.next().error().code() == "server.protocol");
    ReplyReader body;
    body.feed("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    CHECK(body.next().error().code() == "server.protocol");
    ReplyReader negative;
    negative.feed("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n");
    CHECK(negative.next().error().code() == "server.protocol");
}

TEST_CASE("a server cannot steer the user's terminal") {
    CHECK(printable("a\x1b[2Jb\r\n\tc\x7f") == "a [2Jb c");
    CHECK(printable("caf\xC3\xA9 \xC2\x9B"
                    "31m") == "caf\xC3\xA9 31m");
    CHECK(printable(std::string(2000, 'x')).size() == 512);
}
