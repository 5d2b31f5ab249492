#include "base/log.hpp"

#include <doctest/doctest.h>

TEST_CASE(
    "a line carries its event and its fields, and a foreign text cannot forge a second line") {
    const qvd::log::Capture log;
    qvd::log::warn("auth.refused", {{"user", "bob\nevent=auth.ok"}, {"vm", qvd::VmId{7}}}, "no");
    REQUIRE(log.lines().size() == 1);
    CHECK(log.lines().front() == "event=auth.refused user=\"bob\\x0Aevent=auth.ok\" vm=7: no");
}

TEST_CASE("the documented level names are known in any case and others are refused by name") {
    CHECK(qvd::log::parse_level("Warn").value() == qvd::log::Level::warn);
    CHECK(qvd::log::parse_level("ALL").value() == qvd::log::Level::trace);
    CHECK(qvd::log::parse_level("loud").error().sentence().find("loud") != std::string::npos);
}
