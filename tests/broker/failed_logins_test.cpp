#include "broker/failed_logins.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <doctest/doctest.h>

#include <optional>
#include <vector>

using namespace qvd;
using namespace qvd::broker;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using Begun = Result<std::shared_ptr<FailedLogins::Attempt>>;

struct Gatekeeper {
    asio::io_context loop{1};
    FakeClock clock;
    FailedLogins failed{clock};

    static asio::awaitable<void> keep(asio::awaitable<Begun> work, std::optional<Begun>& into) {
        Begun got = co_await std::move(work);
        into.emplace(std::move(got));
    }
    void turn() {
        loop.restart();
        loop.poll();
    }
    void begin(std::optional<Begun>& into, const std::string& address, std::int64_t limit,
               const std::string& login = "bob") {
        asio::co_spawn(loop, keep(failed.begin(address, login, limit), into), asio::detached);
        turn();
    }
    // An attempt that may begin at once.
    Begun attempt(const std::string& address, std::int64_t limit,
                  const std::string& login = "bob") {
        std::optional<Begun> begun;
        begin(begun, address, limit, login);
        REQUIRE(begun);
        return *begun;
    }
    void fail(const std::string& address, const std::string& login = "bob") {
        (*attempt(address, 1'000'000, login))->failed();
    }
    bool refused(const std::string& address, std::int64_t limit) {
        return !attempt(address, limit).ok();
    }
};

}  // namespace

TEST_CASE("An address is refused after too many failures, until the minute is over") {
    Gatekeeper gate;
    for (int i = 0; i < 3; ++i) {
        CHECK_FALSE(gate.refused("10.0.0.1", 3));
        gate.fail("10.0.0.1");
        gate.clock.advance(1s);
    }
    const auto refused = gate.attempt("10.0.0.1", 3);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "auth.too_many");
    CHECK(refused.error().sentence().find(" 57 s") != std::string::npos);
    CHECK_FALSE(gate.refused("10.0.0.2", 3));
    gate.clock.advance(57s);  // the first of the three is old now
    CHECK_FALSE(gate.refused("10.0.0.1", 3));
}

TEST_CASE("Attempts under way count as failed: more than the limit are never tried at once") {
    Gatekeeper gate;
    std::vector<std::optional<Begun>> attempts(6);
    for (auto& attempt : attempts) gate.begin(attempt, "10.0.0.1", 2);
    CHECK(attempts[0].has_value());
    CHECK(attempts[1].has_value());
    for (std::size_t i = 2; i < attempts.size(); ++i) CHECK_FALSE(attempts[i].has_value());
    SUBCASE("two that fail use the limit up, and who waited hears it") {
        for (std::size_t i : {0U, 1U}) {
            (**attempts[i])->failed();
            attempts[i].reset();
        }
        gate.turn();
        for (std::size_t i = 2; i < attempts.size(); ++i) {
            REQUIRE(attempts[i].has_value());
            CHECK_FALSE(attempts[i]->ok());
        }
    }
    SUBCASE("one that succeeds lets the next one try") {
        (**attempts[0])->succeeded();
        attempts[0].reset();
        gate.turn();
        REQUIRE(attempts[2].has_value());
        CHECK(attempts[2]->ok());
        CHECK_FALSE(attempts[3].has_value());
        // Nobody must wait for what is over when this test ends.
        for (std::size_t i = 1; i < attempts.size(); ++i) {
            attempts[i].reset();
            gate.turn();
        }
        CHECK(gate.failed.addresses() == 0);
    }
}

TEST_CASE("A right password ends the suspicion of its own login, and of no other") {
    Gatekeeper gate;
    gate.fail("10.0.0.1", "alice");
    gate.fail("10.0.0.1", "bob");
    (*gate.attempt("10.0.0.1", 9, "bob"))->succeeded();
    CHECK(gate.refused("10.0.0.1", 1));
    CHECK_FALSE(gate.refused("10.0.0.1", 2));
    (*gate.attempt("10.0.0.1", 9, "alice"))->succeeded();
    CHECK_FALSE(gate.refused("10.0.0.1", 1));
    CHECK(gate.failed.addresses() == 0);
}

TEST_CASE("IPv6 addresses of one /64 are one address") {
    Gatekeeper gate;
    gate.fail("2001:db8:1:2::3");
    CHECK(gate.refused("2001:db8:1:2:ffff::4", 1));
    CHECK_FALSE(gate.refused("2001:db8:1:3::3", 1));
}

TEST_CASE("An attempt that came to nothing is no failure and leaves nothing behind") {
    Gatekeeper gate;
    CHECK(gate.attempt("10.0.0.1", 1).ok());
    CHECK(gate.failed.addresses() == 0);
}

TEST_CASE("Only so many addresses are remembered; the one that failed longest ago goes") {
    Gatekeeper gate;
    for (std::size_t i = 0; i <= FailedLogins::max_addresses; ++i) {
        gate.fail("a" + std::to_string(i));
        gate.clock.advance(1ms);
    }
    CHECK(gate.failed.addresses() == FailedLogins::max_addresses);
    CHECK(gate.refused("a1", 1));
    CHECK(gate.refused("a" + std::to_string(FailedLogins::max_addresses), 1));
    CHECK_FALSE(gate.refused("a0", 1));
}
