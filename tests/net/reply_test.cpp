#include "net/reply.hpp"

#include <doctest/doctest.h>

#include <initializer_list>

using namespace qvd::net;

TEST_CASE("every reply has a reason, a type and an exact length") {
    const Answer plain = answer(599, {}, "x", false);
    CHECK(plain.head ==
          "HTTP/1.1 599 Answer\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
          "1\r\n\r\n");
    const Answer json = answer(200, {{"content-type", "application/json"}}, "[]", true);
    CHECK(json.head ==
          "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Length: 2\r\n"
          "Connection: close\r\n\r\n");
}

TEST_CASE("a status that cannot have a body becomes 500") {
    for (const std::uint16_t status :
         std::initializer_list<std::uint16_t>{0, 101, 199, 204, 304, 600})
        CHECK(answer(status, {}, "", false).head.starts_with("HTTP/1.1 500 Internal Server Error"));
}

TEST_CASE("a header name that is none is left out") {
    CHECK(answer(200, {{"X Y", "1"}, {"", "2"}, {"A\r\nB", "3"}}, "x", false).head ==
          answer(200, {}, "x", false).head);
}

TEST_CASE("a 101 without a slave key has no header for it") {
    CHECK(switch_head(qvd::Secret()) == "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    CHECK(switch_head(qvd::Secret(), "QVD-Admin/1.0") ==
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
          "QVD-Admin/1.0\r\n\r\n");
    CHECK(progress_head("a\nb") == "HTTP/1.1 102 Processing\r\nX-QVD-VM-Info: a b\r\n\r\n");
}
