#include "broker/failed_logins.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::broker;
using namespace std::chrono_literals;

TEST_CASE("An address is refused after too many failures, until the minute is over") {
    FakeClock clock;
    FailedLogins failed(clock);
    for (int i = 0; i < 3; ++i) {
        CHECK(failed.check("10.0.0.1", 3).ok());
        failed.add("10.0.0.1");
        clock.advance(1s);
    }
    const auto refused = failed.check("10.0.0.1", 3);
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "auth.too_many");
    CHECK(refused.error().sentence().find(" 57 s") != std::string::npos);
    CHECK(failed.check("10.0.0.2", 3).ok());
    clock.advance(57s);  // the first of the three is old now
    CHECK(failed.check("10.0.0.1", 3).ok());
}

TEST_CASE("A right password ends the suspicion") {
    FakeClock clock;
    FailedLogins failed(clock);
    failed.add("10.0.0.1");
    CHECK_FALSE(failed.check("10.0.0.1", 1).ok());
    failed.forget("10.0.0.1");
    CHECK(failed.check("10.0.0.1", 1).ok());
}

TEST_CASE("Only so many addresses are remembered; the one that failed longest ago goes") {
    FakeClock clock;
    FailedLogins failed(clock);
    for (std::size_t i = 0; i <= FailedLogins::max_addresses; ++i) {
        failed.add("a" + std::to_string(i));
        clock.advance(1ms);
    }
    CHECK(failed.check("a0", 1).ok());
    CHECK_FALSE(failed.check("a1", 1).ok());
    CHECK_FALSE(failed.check("a" + std::to_string(FailedLogins::max_addresses), 1).ok());
}
