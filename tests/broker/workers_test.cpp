// What the workers of a node share, and what the broker keeps of them.
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace qvd;
using namespace qvd::broker::test;

TEST_CASE("Workers share the node's limits and one secret for their tickets") {
    Farm farm("l7r.limit.connections = 100\n");
    Worker first(*farm.broker, "l7r-0-x");
    Worker second(*farm.broker, "l7r-1-y");
    const auto mine = farm.next<net::Configure>(first);
    const auto other = farm.next<net::Configure>(second);
    CHECK(mine.connections == 100);
    CHECK(other.connections == 100);
    CHECK(mine.ticket_secret.reveal().size() == 64);
    CHECK(mine.ticket_secret.equals(other.ticket_secret.reveal()));
}

TEST_CASE("Unless told otherwise, workers give a client ten seconds for its greeting") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    CHECK(farm.next<net::Configure>(worker).first_byte_ms == 10'000);
    Farm other("l7r.limit.handshake = 250\n");
    Worker hurried(*other.broker, "l7r-0-x");
    CHECK(other.next<net::Configure>(hurried).first_byte_ms == 250);
}

TEST_CASE("Workers hear through the broker how many connections the others hold") {
    Farm farm;
    Worker first(*farm.broker, "l7r-0-x");
    auto second = std::make_unique<Worker>(*farm.broker, "l7r-1-y");
    while (farm.next<net::Configure>(first).workers != 2) continue;
    second->say(net::Connections{3, {{"10.0.0.1", 3}}});
    const auto told = farm.next<net::Connections>(first);
    CHECK(told.in_all == 3);
    REQUIRE(told.by_address.size() == 1);
    CHECK(told.by_address[0].second == 3);
    second.reset();
    const auto then = farm.next<net::Connections>(first);
    CHECK(then.in_all == 0);
    REQUIRE(then.by_address.size() == 1);
    CHECK(then.by_address[0].second == 0);
}

TEST_CASE("Requests are counted, but strangers do not decide how often that is written") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    (void)farm.next<net::Configure>(worker);
    constexpr int strangers = 200;
    const auto count_now = [&] {
        return farm.run(farm.store->node("here")).value()->counters.http_requests;
    };
    for (std::uint64_t i = 1; i <= strangers; ++i) {
        farm.ask(worker, i, "/qvd/list_of_vm", "wrong");
        (void)farm.answer(worker);
    }
    // The first was written at once, the others wait for theirs.
    CHECK(count_now() < strangers);
    CHECK(farm.until([&] { return count_now() == strangers; }));
}

TEST_CASE("The secret of the tickets is another one a day later") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    const auto today = farm.next<net::Configure>(worker);
    farm.clock.advance(std::chrono::hours(23));
    (void)farm.run(farm.store->set_configuration({{"l7r.limit.connections", "100"}}));
    const auto tonight = farm.next<net::Configure>(worker);
    CHECK(tonight.connections == 100);
    CHECK(tonight.ticket_secret.equals(today.ticket_secret.reveal()));
    farm.clock.advance(std::chrono::hours(2));
    (void)farm.run(farm.store->set_configuration({{"l7r.limit.connections", "200"}}));
    const auto tomorrow = farm.next<net::Configure>(worker);
    CHECK(tomorrow.ticket_secret.reveal().size() == 64);
    CHECK_FALSE(tomorrow.ticket_secret.equals(today.ticket_secret.reveal()));
}
