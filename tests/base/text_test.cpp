#include "base/text.hpp"

#include <doctest/doctest.h>

namespace text = qvd::text;

TEST_CASE("a wildcard matches any text with * and one character with ?") {
    CHECK(text::matches_wildcard("vm-*", "vm-"));
    CHECK(text::matches_wildcard("*a*b?", "xxaxxbz"));
    CHECK_FALSE(text::matches_wildcard("vm-?", "vm-"));
    CHECK_FALSE(text::matches_wildcard("VM", "vm"));
    CHECK(text::matches_wildcard("%_", "%_"));
}

TEST_CASE("percent decoding refuses a broken escape and honours plus only in queries") {
    CHECK(text::percent_decode("a+b%2Fc", true) == "a b/c");
    CHECK(text::percent_decode("a+b", false) == "a+b");
    CHECK_FALSE(text::percent_decode("%2", true).has_value());
    CHECK_FALSE(text::percent_decode("%zz", true).has_value());
    CHECK(text::percent_encode("pc105/es ñ") == "pc105%2Fes%20%C3%B1");
}

TEST_CASE("base64 is read with and without its padding") {
    CHECK(text::base64_encode("user:pass") == "dXNlcjpwYXNz");
    CHECK(text::base64_encode("a") == "YQ==");
    CHECK(text::base64_decode("YQ") == "a");
    CHECK(text::base64_decode("YQ==") == "a");
    CHECK_FALSE(text::base64_decode("Y").has_value());
    CHECK_FALSE(text::base64_decode("Y!==").has_value());
    for (const std::string_view bytes : {"", "f", "fo", "foo", "foob", "fooba", "foobar"})
        CHECK(text::base64_decode(text::base64_encode(bytes)) == bytes);
}

TEST_CASE("the nearest known word is suggested only when it is near") {
    CHECK(text::nearest("wieghted", {"random", "weighted"}) == "weighted");
    CHECK(text::nearest("xyz", {"random", "weighted"}).empty());
}

TEST_CASE("only a whole decimal number is an integer") {
    CHECK(text::to_integer("-42") == -42);
    CHECK_FALSE(text::to_integer("").has_value());
    CHECK_FALSE(text::to_integer("4x").has_value());
    CHECK_FALSE(text::to_integer("99999999999999999999").has_value());
}

TEST_CASE("a quoted text never breaks a line") {
    CHECK(text::quoted("a\"b\n") == "\"a\\\"b\\x0A\"");
    CHECK(text::quoted("abcdef", 3) == "\"abc...\"");
}

TEST_CASE("a list drops what is empty and a split keeps it") {
    CHECK(text::split_list(" default, ldap ,,") == std::vector<std::string>{"default", "ldap"});
    CHECK(text::split("a,,b", ',') == std::vector<std::string>{"a", "", "b"});
}
