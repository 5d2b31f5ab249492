#include "net/control.hpp"

#include <doctest/doctest.h>

using namespace qvd;       // NOLINT(google-build-using-namespace): a test's vocabulary
using namespace qvd::net;  // NOLINT(google-build-using-namespace)

namespace {

std::string code_of(std::string_view target) {
    const auto request = parse_control_target(target);
    return request.ok() ? "ok" : request.error().code();
}

}  // namespace

TEST_CASE("each verb has a target that means it, and a number that is its own") {
    for (std::uint8_t number = 0; const auto verb = control_verb(number); ++number) {
        CAPTURE(to_string(*verb));
        const std::string target = control_target(*verb, VmId{7});
        const auto request = parse_control_target(target);
        REQUIRE(request.ok());
        CHECK(request->verb == *verb);
        CHECK(request->vm == (target.find("/vm/") == std::string::npos ? VmId{} : VmId{7}));
    }
    CHECK(control_verb(static_cast<std::uint8_t>(ControlVerb::ssh)).has_value());
    CHECK_FALSE(control_verb(200).has_value());
    CHECK(is_stream(ControlVerb::console));
    CHECK_FALSE(is_stream(ControlVerb::log));
}

TEST_CASE("a query is decoded and bounded") {
    const auto request = parse_control_target("/v1/vm/7/log?lines=20&text=a%20b+c&flag");
    REQUIRE(request.ok());
    CHECK(request->parameters == Headers{{"lines", "20"}, {"text", "a b c"}, {"flag", ""}});
    CHECK(code_of("/v1/vms?a=%4") == "control.query");
    CHECK(code_of("/v1/vms?=x") == "control.query");
    CHECK(code_of("/v1/vms?a=" + std::string(257, 'x')) == "control.query");
    std::string many = "/v1/vms?";
    for (int i = 0; i < 17; ++i) many += "a=1&";
    CHECK(code_of(many) == "control.query");
}

TEST_CASE("what is no target of the protocol is not found") {
    for (const char* const target :
         {"", "/", "/v1", "/v1/", "/v1/vm", "/v1/vm/", "/v1/vm/7", "/v1/vm/7/", "/v1/vm/x/log",
          "/v1/vm/-7/log", "/v1/vm/0/log", "/v1/vm/../../etc/log", "/v1/vm/7/log/", "/V1/vms",
          "/v1/vm/99999999999999999999/log", "status", "/v1/status/"})
        CHECK_MESSAGE(code_of(target) == "control.target", target);
}
