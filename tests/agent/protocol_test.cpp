#include "agent/protocol.hpp"

#include "base/text.hpp"

#include <doctest/doctest.h>

using namespace qvd;
using namespace qvd::agent;

TEST_CASE("every state has a word that reads back as the same state") {
    for (int i = 0; i <= static_cast<int>(XState::stopping); ++i) {
        const auto state = static_cast<XState>(i);
        CHECK(parse_x_state(to_string(state)).value() == state);
    }
    CHECK(parse_x_state("dreaming").error().code() == "agent.answer");
}

TEST_CASE("parameters survive the way through a request's address") {
    const Parameters sent{{"qvd.client.keyboard", "pc105/us"},
                          {"custom.note", "a b&c=d+e%f/\xc3\xa9"},
                          {"empty", ""}};
    const std::string target = request_target(method::x_start, sent);
    const auto read = parse_target(target);
    REQUIRE(read.ok());
    CHECK(read->method == "x_start");
    CHECK(read->parameters == sent);
}

TEST_CASE("a request's address is taken as upstream's callers write it") {
    CHECK(parse_target("/vma/ping").value().parameters.empty());
    CHECK(parse_target("/vma/ping?").value().parameters.empty());
    CHECK(parse_target("/vma/x_start?a=1+2&b").value().parameters ==
          Parameters{{"a", "1 2"}, {"b", ""}});
    for (const char* wrong :
         {"/", "/vma/", "/vma/../etc", "/vma/x?%zz=1", "/vma/x?=1", "/other/ping", "/vma/x?a=%00b"})
        CHECK(parse_target(wrong).error().code() == "agent.request");
}

TEST_CASE("answers are one JSON value and a line end, as upstream's callers expect") {
    CHECK(encode_text("listening") == "\"listening\"\r\n");
    CHECK(encode_number(1) == "1\r\n");
    CHECK(encode_null() == "null\r\n");
    CHECK(encode_failure("no \"x\"\n") == "\"\",\"no \\\"x\\\"\\u000a\"\r\n");
    CHECK(text::json_string("\xc3\xa9\xff\xe2\x82") == "\"\xc3\xa9\\ufffd\\ufffd\\ufffd\"");
}

TEST_CASE("an answer's scalar is read whatever its type") {
    CHECK(decode_body("\"listening\"\r\n").value().text == "listening");
    CHECK(decode_body("1\r\n").value().kind == Value::Kind::number);
    CHECK(decode_body(" null ").value().kind == Value::Kind::null);
    CHECK(decode_body("true").value().kind == Value::Kind::boolean);
    CHECK(decode_body("{\"a\":[1,{}]}").value().kind == Value::Kind::other);
    CHECK(decode_body(R"("\u00e9\ud83d\ude00\/")").value().text == "\xc3\xa9\xf0\x9f\x98\x80/");
}

TEST_CASE("a failed method gives the agent's own sentence") {
    const auto refused = decode_body("\"\",\"the home is full\"\r\n");
    CHECK(refused.error().code() == "agent.refused");
    CHECK(refused.error().sentence() == "the home is full");
    CHECK(decode_body(encode_failure(busy_sentence)).error().code() == "agent.session_busy");
    const std::string passing = std::string(passing_sentence) + "stopping, try again";
    CHECK(decode_body(encode_failure(passing)).error().code() == "agent.session_busy");
}

TEST_CASE("what is no answer is called so and not guessed at") {
    for (const char* wrong : {"", "hello", R"(")", R"("a" "b")", "[1", R"({"a"})", R"("a",)",
                              R"("\x")", "<html>", R"("\ud800")", "]"})
        CHECK_MESSAGE(decode_body(wrong).error().code() == "agent.answer", wrong);
    CHECK_FALSE(decode_body(std::string(10'000, '[')).ok());
}

TEST_CASE("hello tells protocol and features, and members added later do no harm") {
    const Hello hello{1, {"token", "x_reason"}};
    const auto read = decode_hello(encode_hello(hello));
    REQUIRE(read.ok());
    CHECK(read->protocol == 1);
    CHECK(read->has("token"));
    CHECK_FALSE(read->has("tok"));
    CHECK(decode_hello(R"({"new":{"x":[]},"protocol":2,"features":[]})").value().protocol == 2);
    CHECK_FALSE(decode_hello("\"hello\"").ok());
    CHECK_FALSE(decode_hello("{}").ok());
}
