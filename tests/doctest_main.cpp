// The main() of every doctest executable.
#define DOCTEST_CONFIG_IMPLEMENT
#include "tests/skip.hpp"

#include <doctest/doctest.h>

#include <cstdio>

namespace {

constexpr int skipped = 77;
bool something_was_skipped = false;
unsigned cases_chosen = 0;

// Counts the test cases that the command line has chosen.
struct Count : doctest::IReporter {
    explicit Count(const doctest::ContextOptions& /*options*/) {}
    void report_query(const doctest::QueryData& /*data*/) override {}
    void test_run_start() override {}
    void test_run_end(const doctest::TestRunStats& stats) override {
        cases_chosen = stats.numTestCasesPassingFilters;
    }
    void test_case_start(const doctest::TestCaseData& /*data*/) override {}
    void test_case_reenter(const doctest::TestCaseData& /*data*/) override {}
    void test_case_end(const doctest::CurrentTestCaseStats& /*stats*/) override {}
    void test_case_exception(const doctest::TestCaseException& /*exception*/) override {}
    void subcase_start(const doctest::SubcaseSignature& /*signature*/) override {}
    void subcase_end() override {}
    void log_assert(const doctest::AssertData& /*data*/) override {}
    void log_message(const doctest::MessageData& /*data*/) override {}
    void test_case_skipped(const doctest::TestCaseData& /*data*/) override {}
};
REGISTER_LISTENER("count", 1, Count);

}  // namespace

void qvd::test::skip(const char* reason) {
    std::printf("skipped: %s\n", reason);
    something_was_skipped = true;
}

int main(int argc, char** argv) {
    doctest::Context context(argc, argv);
    const int status = context.run();
    if (context.shouldExit() || status != 0) return status;
    if (cases_chosen == 0) {
        std::puts("there is no such test");
        return 1;
    }
    return something_was_skipped ? skipped : 0;
}
