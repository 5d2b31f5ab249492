#include "base/result.hpp"

#include <doctest/doctest.h>

#include <string>

namespace {

qvd::Result<int> half_of(int number) {
    if (number % 2 != 0)
        return qvd::Error{qvd::ErrorKind::invalid, "number.odd", "an odd number has no half"};
    return number / 2;
}

qvd::Result<int> quarter_of(int number) {
    QVD_TRY(const int half, half_of(number));
    QVD_TRY(const int quarter, half_of(half));
    return quarter;
}

}  // namespace

TEST_CASE("the first failure leaves the function with its own sentence") {
    CHECK(quarter_of(8).value() == 2);
    CHECK(quarter_of(6).error().code() == "number.odd");
    CHECK(quarter_of(6).error().within("6").sentence() == "6: an odd number has no half");
}

TEST_CASE("asking a failed result for its value is a bug and throws") {
    CHECK_THROWS_AS((void)half_of(3).value(), qvd::BadResultAccess);
}
