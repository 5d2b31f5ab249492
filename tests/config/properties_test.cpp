#include "config/properties.hpp"

#include <doctest/doctest.h>

#include <fstream>

using qvd::config::Properties;

namespace {

std::string value_of(std::string_view text, std::string_view key) {
    const auto properties = Properties::parse(text, "t.conf");
    REQUIRE(properties.ok());
    const auto* const entry = properties->find(key);
    REQUIRE(entry != nullptr);
    return entry->value;
}

std::string sentence_of(std::string_view text) {
    const auto properties = Properties::parse(text, "t.conf");
    REQUIRE_FALSE(properties.ok());
    CHECK(properties.error().code() == "config.syntax");
    return properties.error().sentence();
}

}  // namespace

TEST_CASE("a key ends at =, at : or at a blank") {
    const std::string text = "a = 1\nb: 2\nc 3\n d=4\ne\t=\t5\nf : = 6\ng\n";
    CHECK(value_of(text, "a") == "1");
    CHECK(value_of(text, "b") == "2");
    CHECK(value_of(text, "c") == "3");
    CHECK(value_of(text, "d") == "4");
    CHECK(value_of(text, "e") == "5");
    CHECK(value_of(text, "f") == "= 6");
    CHECK(value_of(text, "g").empty());
}

TEST_CASE("# and ! begin comments only at the beginning of a line") {
    const std::string text = "# a = 1\n  ! b = 2\nc = 3 # 4 ! 5\n";
    CHECK(Properties::parse(text, "t").value().entries().size() == 1);
    CHECK(value_of(text, "c") == "3 # 4 ! 5");
}

TEST_CASE("a backslash escapes, also in keys") {
    CHECK(value_of("a = x\\n\\t\\r\\f\\\\\\q\n", "a") == "x\n\t\r\f\\q");
    CHECK(value_of("a\\ b\\=c = 1\n", "a b=c") == "1");
    CHECK(value_of("a = \\u0041\\u00e4\\u20AC\\uD83D\\uDE00\n", "a") == "A\u00e4\u20ac\U0001F600");
}

TEST_CASE("blanks around a value go and an escaped one stays") {
    CHECK(value_of("a =   x y  \n", "a") == "x y");
    CHECK(value_of("a =   x\\  \n", "a") == "x ");
    CHECK(value_of("a = x\r\nb = y\r\n", "a") == "x");
}

TEST_CASE("a backslash at the end of a line continues it, two do not") {
    CHECK(value_of("a = one, \\\n     two\n", "a") == "one, two");
    CHECK(value_of("a = one\\\\\nb = 2\n", "a") == "one\\");
    CHECK(value_of("a = one\\\n# no comment\n", "a") == "one# no comment");
    CHECK(value_of("a = end\\", "a") == "end");
    CHECK(Properties::parse("# comment \\\na = 1\n", "t").value().entries().size() == 1);
}

TEST_CASE("an entry knows the file and the line on which it begins") {
    const auto properties = Properties::parse("\n# x\na = 1\\\n 2\nb = 3\n", "n.conf").value();
    CHECK(properties.find("a")->where == "n.conf:3");
    CHECK(properties.find("b")->where == "n.conf:5");
}

TEST_CASE("what is no line of the syntax is refused with file and line") {
    CHECK(sentence_of("a = 1\n= 2\n") == "t.conf:2: there is no key before the value");
    CHECK(sentence_of("a = \\u12g4\n") == "t.conf:1: \\u needs four hexadecimal digits");
    CHECK(sentence_of("a = \\u12") == "t.conf:1: \\u needs four hexadecimal digits");
    CHECK(sentence_of("a = \\u0000\n") == "t.conf:1: \\u names no character");
    CHECK(sentence_of("a = \\ud800\n") == "t.conf:1: \\u names no character");
    CHECK(sentence_of("a = \\ud800\\u0041\n") == "t.conf:1: \\u has half of a character");
    CHECK(sentence_of(std::string_view("a = x\0y\n", 8)) ==
          "t.conf:1: there is a control character in the line");
}

TEST_CASE("what is too long is refused and not cut") {
    CHECK(sentence_of(std::string((1U << 20U) + 1, '#')) == "t.conf is longer than 1 MiB");
    CHECK(sentence_of("a = " + std::string(70'000, 'x')) == "t.conf:1: the value is too long");
    std::string many;
    for (int i = 0; i < 10'002; ++i) many += "k" + std::to_string(i) + "=\n";
    CHECK(sentence_of(many) == "t.conf:10001: there are too many keys");
}

TEST_CASE("the later of two lines and of two files wins") {
    auto first = Properties::parse("a = 1\na = 2\nb = 1\n", "one").value();
    CHECK(first.find("a")->value == "2");
    REQUIRE(first.repeated().size() == 1);
    CHECK(first.repeated()[0].where == "one:2");
    CHECK(first.repeated()[0].value == "\"a\" is given again; the value at one:1 is lost");
    first.merge(Properties::parse("b = 2\n", "two").value());
    CHECK(first.find("b")->value == "2");
    CHECK(first.find("b")->where == "two:1");
    CHECK(first.find("a")->value == "2");
}

TEST_CASE("a file that is not there is an error that names it") {
    const auto properties = Properties::read("/nonexistent/node.conf");
    REQUIRE_FALSE(properties.ok());
    CHECK(properties.error().sentence().find("/nonexistent/node.conf") != std::string::npos);
}
