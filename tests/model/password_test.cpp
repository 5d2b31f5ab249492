#include "model/password.hpp"

#include <doctest/doctest.h>

using qvd::Secret;

namespace {

constexpr qvd::PasswordCost cheap{.memory_kib = 64, .passes = 1};

}  // namespace

TEST_CASE("a password matches its own hash, and two hashes of it differ") {
    const Secret first = qvd::hash_password(Secret{"hunter2"}, cheap).value();
    const Secret second = qvd::hash_password(Secret{"hunter2"}, cheap).value();
    CHECK_FALSE(first.equals(second.reveal()));
    const auto verdict = qvd::verify_password(first, Secret{"hunter2"}, "qvd1234", cheap);
    CHECK(verdict.matches);
    CHECK_FALSE(verdict.outdated);
    CHECK_FALSE(qvd::verify_password(first, Secret{"hunter3"}, "qvd1234", cheap).matches);
}

TEST_CASE("a row of upstream's matches with its salt and asks to be replaced") {
    // printf 'qvd1234hunter2' | openssl dgst -sha256 -binary | base64, without padding
    const Secret row{"m84/MLmkjJxsozCDi4oaHaXYEPb15ElTIvx9khT1Aos"};
    CHECK(qvd::upstream_password_hash("qvd1234", Secret{"hunter2"}) == row.reveal());
    const auto verdict = qvd::verify_password(row, Secret{"hunter2"}, "qvd1234", cheap);
    CHECK(verdict.matches);
    CHECK(verdict.outdated);
    CHECK_FALSE(qvd::verify_password(row, Secret{"hunter2"}, "another", cheap).matches);
}

TEST_CASE("a hash of another cost still matches and is outdated") {
    const Secret hash = qvd::hash_password(Secret{"x"}, {.memory_kib = 32, .passes = 1}).value();
    const auto verdict = qvd::verify_password(hash, Secret{"x"}, "", cheap);
    CHECK(verdict.matches);
    CHECK(verdict.outdated);
}

TEST_CASE("an empty password is neither hashed nor ever right") {
    CHECK(qvd::hash_password(Secret{}, cheap).error().code() == "password.empty");
    CHECK_FALSE(qvd::verify_password(Secret{}, Secret{}, "s", cheap).matches);
    CHECK_FALSE(qvd::verify_password(Secret{}, Secret{"x"}, "s", cheap).matches);
}
