#include "base/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace qvd;

namespace {

bool contains(const std::vector<std::string>& all, const std::string& one) {
    return std::ranges::find(all, one) != all.end();
}

}  // namespace

TEST_CASE("a program is there if it can be run, by its path or by its name") {
    CHECK(program::is_there("/bin/sh"));
    CHECK(program::is_there("sh"));
    CHECK_FALSE(program::is_there("/etc/passwd"));
    CHECK_FALSE(program::is_there("no-such-program"));
    CHECK_FALSE(program::is_there("/bin/no-such-program"));
}

TEST_CASE("a child's environment is ours with what was changed and without what it must not see") {
    REQUIRE(::setenv("QVD_TEST_KEPT", "1", 1) == 0);
    REQUIRE(::setenv("QVD_TEST_CHANGED", "1", 1) == 0);
    REQUIRE(::setenv("QVD_TEST_HIDDEN", "1", 1) == 0);
    const auto words = program::environment_with({{"QVD_TEST_CHANGED", "2"}, {"QVD_TEST_NEW", "3"}},
                                                 {"QVD_TEST_HIDDEN"});
    CHECK(contains(words, "QVD_TEST_KEPT=1"));
    CHECK(contains(words, "QVD_TEST_CHANGED=2"));
    CHECK_FALSE(contains(words, "QVD_TEST_CHANGED=1"));
    CHECK(contains(words, "QVD_TEST_NEW=3"));
    CHECK_FALSE(contains(words, "QVD_TEST_HIDDEN=1"));
}

TEST_CASE("pointers for exec end with null") {
    std::vector<std::string> texts{"a", "bc"};
    const auto pointers = program::pointers_to(texts);
    REQUIRE(pointers.size() == 3);
    CHECK(std::strcmp(pointers[1], "bc") == 0);
    CHECK(pointers[2] == nullptr);
}
