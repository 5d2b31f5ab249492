#include "broker/crowd.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::broker;

namespace {

const int first = 1;  // their addresses name three workers
const int second = 2;
const int third = 3;

using Counts = std::vector<std::pair<std::string, std::uint32_t>>;

}  // namespace

TEST_CASE("each worker hears of what the others hold, and only what is new to it") {
    Crowd crowd;
    crowd.add(&first);
    crowd.add(&second);
    CHECK_FALSE(crowd.has_news());
    crowd.set(&first, {5, {{"a", 3}, {"b", 2}}});
    CHECK(crowd.has_news());
    CHECK(crowd.news_for(&first).empty());
    auto news = crowd.news_for(&second);
    REQUIRE(news.size() == 1);
    CHECK(news[0].in_all == 5);
    CHECK(news[0].by_address == Counts{{"a", 3}, {"b", 2}});
    CHECK_FALSE(crowd.has_news());

    crowd.set(&second, {1, {{"a", 1}}});
    news = crowd.news_for(&first);
    REQUIRE(news.size() == 1);
    CHECK(news[0].by_address == Counts{{"a", 1}});
    // Who comes later hears all of it.
    crowd.add(&third);
    news = crowd.news_for(&third);
    REQUIRE(news.size() == 1);
    CHECK(news[0].in_all == 6);
    CHECK(news[0].by_address == Counts{{"a", 4}, {"b", 2}});
}

TEST_CASE("a worker that is gone holds nothing any more") {
    Crowd crowd;
    crowd.add(&first);
    crowd.add(&second);
    crowd.set(&first, {5, {{"a", 5}}});
    (void)crowd.news_for(&second);
    crowd.remove(&first);
    const auto news = crowd.news_for(&second);
    REQUIRE(news.size() == 1);
    CHECK(news[0].in_all == 0);
    CHECK(news[0].by_address == Counts{{"a", 0}});
}

TEST_CASE("a worker that lies cannot fill the broker or make its sums wrap") {
    Crowd crowd;
    crowd.add(&first);
    crowd.add(&second);
    for (std::size_t i = 0; i < Crowd::most_addresses + 10; ++i)
        crowd.set(&first, {0xFFFFFFFFU, {{std::to_string(i), 0xFFFFFFFFU}}});
    std::size_t told = 0;
    for (const net::Connections& piece : crowd.news_for(&second)) {
        CHECK(net::encode(piece).ok());
        CHECK(piece.in_all == 1'000'000);
        told += piece.by_address.size();
    }
    CHECK(told == Crowd::most_addresses);
    crowd.set(&first, {0, {{"7", 0}}});
    CHECK(crowd.news_for(&second).at(0).by_address == Counts{{"7", 0}});
}
