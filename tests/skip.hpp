// What a test case says if this machine cannot do what it is about.
#pragma once

namespace qvd::test {

// The case must return behind it. Unless a test fails, its executable then ends with 77, which
// ctest calls skipped, not passed. Such cases belong into a suite "needs SOMETHING", which
// qvd_test(... APART SOMETHING) makes a ctest of its own: the others are not skipped with them.
void skip(const char* reason);

}  // namespace qvd::test
