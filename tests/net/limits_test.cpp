#include "net/limits.hpp"

#include <doctest/doctest.h>

using namespace qvd::net;

TEST_CASE("the addresses of one IPv6 network count as one") {
    CHECK(counted_address("2001:db8::1") == counted_address("2001:db8::ffff:2"));
    CHECK(counted_address("2001:db8::1") != counted_address("2001:db8:0:1::1"));
    CHECK(counted_address("10.0.0.1") != counted_address("10.0.0.2"));
}

TEST_CASE("a place that was released can be taken again") {
    ConnectionLimits limits;
    limits.set(100, 100, 1);
    CHECK(limits.admit("10.0.0.1") == Admission::welcome);
    CHECK(limits.admit("10.0.0.1") == Admission::address_full);
    CHECK(limits.admit("10.0.0.2") == Admission::welcome);
    limits.release("10.0.0.1");
    limits.release("10.0.0.1");
    CHECK(limits.admit("10.0.0.1") == Admission::welcome);
    CHECK(limits.count() == 2);
}

TEST_CASE("without a limit per address only the whole counts") {
    ConnectionLimits limits;
    limits.set(3, 100, 0);
    for (int i = 0; i < 3; ++i) CHECK(limits.admit("10.0.0.1") == Admission::welcome);
    for (std::size_t i = 0; i < ConnectionLimits::polite_in_all; ++i)
        CHECK(limits.admit("10.0.0.1") == Admission::full);
    CHECK(limits.exhausted());
    CHECK(limits.admit("10.0.0.1") == Admission::drop);
}

TEST_CASE("what other workers hold counts, from one address and in all") {
    ConnectionLimits limits;
    limits.set(100, 10, 3);
    limits.heard({4, {{counted_address("10.0.0.1"), 2}, {counted_address("10.0.0.2"), 2}}});
    CHECK(limits.admit("10.0.0.1") == Admission::welcome);
    CHECK(limits.admit("10.0.0.1") == Admission::address_full);
    CHECK(limits.admit("10.0.0.3") == Admission::welcome);
    limits.heard({9, {}});
    CHECK(limits.admit("10.0.0.4") == Admission::full);
    limits.heard({10 + ConnectionLimits::polite_in_all, {}});
    CHECK(limits.exhausted());
    limits.heard({0, {{counted_address("10.0.0.1"), 0}}});
    limits.release("10.0.0.1");
    CHECK(limits.admit("10.0.0.1") == Admission::welcome);
}

TEST_CASE("a worker tells what has changed, once, and to a new broker everything") {
    ConnectionLimits limits;
    limits.set(100'000, 100'000, 0);
    limits.admit("10.0.0.1");
    limits.admit("10.0.0.1");
    limits.admit("2001:db8::1");
    auto news = limits.news();
    REQUIRE(news.size() == 1);
    CHECK(news[0].in_all == 3);
    CHECK(news[0].by_address.size() == 2);
    CHECK(limits.news().empty());
    limits.release("2001:db8::1");
    news = limits.news();
    REQUIRE(news.size() == 1);
    CHECK(news[0].by_address ==
          std::vector<std::pair<std::string, std::uint32_t>>{{counted_address("2001:db8::1"), 0}});
    for (int i = 0; i < 20'000; ++i)
        limits.admit("10.1." + std::to_string(i / 200) + "." + std::to_string(i % 200));
    for (const Connections& piece : limits.everything()) CHECK(encode(piece).ok());
    CHECK(limits.everything().size() > 1);
}
