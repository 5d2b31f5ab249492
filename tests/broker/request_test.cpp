#include "broker/request.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::broker;

namespace {

net::Headers authorization(std::string value) {
    return {{"authorization", std::move(value)}};
}

std::string refusal(const net::Headers& headers) {
    const auto parsed = parse_authorization(headers);
    return parsed.ok() ? "ok" : parsed.error().code();
}

std::string connect_code(std::string_view target) {
    const auto parsed = parse_target(target);
    REQUIRE(parsed.ok());
    const auto parameters = parse_connect_parameters(*parsed);
    return parameters.ok() ? "ok" : parameters.error().code();
}

}  // namespace

TEST_CASE("A target is split into a path and decoded parameters") {
    const auto target = parse_target("/qvd/connect_to_vm?id=7&qvd.client.os=a%20b+c&empty=&=x");
    REQUIRE(target.ok());
    CHECK(target->path == "/qvd/connect_to_vm");
    CHECK(target->parameters == Properties{{"id", "7"}, {"qvd.client.os", "a b c"}});
    CHECK(parse_target("/qvd/ping")->parameters.empty());
    CHECK(parse_target("/x?a=%zz").error().code() == "request.target");
}

TEST_CASE("Basic authorization is read in any case, up to the first colon") {
    const auto parsed = parse_authorization(authorization("bAsIc  YWxpY2U6cGE6c3M="));
    REQUIRE(parsed.ok());
    CHECK(parsed->login == "alice");
    CHECK(parsed->password.equals("pa:ss"));
}

TEST_CASE("Authorization that says nothing useful is refused") {
    CHECK(refusal({}) == "auth.missing");
    CHECK(refusal(authorization("Bearer abc")) == "auth.scheme");
    CHECK(refusal(authorization("")) == "auth.scheme");
    CHECK(refusal(authorization("Basic !!!")) == "auth.malformed");
    CHECK(refusal(authorization("Basic YWxpY2U=")) == "auth.malformed");  // no colon
    CHECK(refusal(authorization("Basic YQBiOmM=")) == "auth.malformed");  // a NUL
    CHECK(refusal(authorization("Basic OnNlY3JldA==")) == "auth.empty");  // no login
    CHECK(refusal(authorization("Basic YWxpY2U6")) == "auth.empty");      // no password
}

TEST_CASE("Shared variables are decoded, and malformed ones left out") {
    const auto shared = shared_environment({{"Auth-4c414e47", "ZXNfRVM="},
                                            {"auth-5a", "!!"},
                                            {"AUTH-xyz", "YQ=="},
                                            {"Auth-", "YQ=="},
                                            {"Host", "YQ=="}});
    CHECK(shared == Properties{{"LANG", "es_ES"}});
}

TEST_CASE("At most 64 variables are shared") {
    const std::string digits = "0123456789abcdef";
    net::Headers many;
    for (std::size_t i = 0; i < 100; ++i) {
        const std::string hex{digits.at(i / 16), digits.at(i % 16)};
        many.emplace_back("Auth-41" + hex, "YQ==");
    }
    CHECK(shared_environment(many).size() == 64);
}

TEST_CASE("Parameters of a connection are the VM's id and what may reach its agent") {
    CHECK(connect_code("/c?id=7&qvd.client.link=lan&custom.x=1") == "ok");
    CHECK(connect_code("/c") == "request.id_missing");
    CHECK(connect_code("/c?id=") == "request.id_missing");
    CHECK(connect_code("/c?id=seven") == "request.id");
    CHECK(connect_code("/c?id=-7") == "request.id");
    CHECK(connect_code("/c?id=7&qvd.vm.user.name=root") == "request.foreign_parameter");
}

TEST_CASE("A refusal of foreign parameters names all of them") {
    const auto target = parse_target("/c?id=7&foo=1&bar=2");
    const auto parsed = parse_connect_parameters(*target);
    REQUIRE_FALSE(parsed.ok());
    CHECK(parsed.error().sentence() == "Invalid parameters bar, foo");
}
