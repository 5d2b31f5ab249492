#include "base/secret.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>

TEST_CASE("a secret equals only the very same text") {
    const qvd::Secret secret{"hunter2"};
    CHECK(secret.equals("hunter2"));
    CHECK_FALSE(secret.equals("hunter3"));
    CHECK_FALSE(secret.equals("hunter"));
    CHECK_FALSE(secret.equals("hunter22"));
    CHECK_FALSE(secret.equals(""));
}

TEST_CASE("a moved-from secret holds nothing any more") {
    qvd::Secret from{"a long enough secret to live on the heap"};
    const qvd::Secret to = std::move(from);
    CHECK(from.empty());  // NOLINT(bugprone-use-after-move)
    CHECK(to.equals("a long enough secret to live on the heap"));
}

TEST_CASE("random secrets have the asked length and alphabet and do not repeat") {
    const qvd::Secret key = qvd::random_alphanumeric(64);
    CHECK(key.reveal().size() == 64);
    CHECK(std::ranges::all_of(key.reveal(), [](char c) { return std::isalnum(c) != 0; }));
    CHECK_FALSE(key.equals(qvd::random_alphanumeric(64).reveal()));
    CHECK(qvd::random_token(32).reveal().size() == 64);
}
