#include "base/utf8.hpp"

#include <doctest/doctest.h>

using qvd::is_utf8;
using qvd::utf8_length;

TEST_CASE("a character of UTF-8 has one to four bytes") {
    CHECK(utf8_length("a\xC3\xB1") == 1);
    CHECK(utf8_length("\xC3\xB1"
                      "a") == 2);
    CHECK(utf8_length("\xE2\x82\xAC") == 3);
    CHECK(utf8_length("\xF0\x9F\x98\x80") == 4);
    CHECK(utf8_length("\xF4\x8F\xBF\xBF") == 4);
    CHECK(is_utf8("pc105/es \xC3\xB1 \xE2\x82\xAC"));
    CHECK(is_utf8(""));
}

TEST_CASE("what is cut short, overlong, a surrogate or beyond Unicode is no UTF-8") {
    for (const char* const broken :
         {"\x80", "\xC3", "\xC3(", "\xE2\x82", "\xE2\x82(", "\xC0\x80", "\xE0\x9F\xBF",
          "\xF0\x8F\xBF\xBF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
        CHECK(utf8_length(broken) == 0);
        CHECK_FALSE(is_utf8(broken));
    }
    CHECK(utf8_length("") == 0);
}
