// qa audit: who did what.
#include "admin/administration.hpp"

namespace qvd::admin {

namespace {

// Of how many lines a filter looks for its own.
constexpr int most_lines = 100'000;

}  // namespace

Async<std::vector<Row>> Administration::audit_lines(Filter filter, int last) {
    QVD_CO_CHECK(filter.check_keys(row_of(store::AuditLine{})));
    QVD_CO_TRY(const auto lines, co_await store_.audit_lines(filter.empty() ? last : most_lines));
    std::vector<Row> rows;
    for (const store::AuditLine& line : lines) {
        Row row = row_of(line);
        if (filter.matches(row, {})) rows.push_back(std::move(row));
    }
    const std::ptrdiff_t surplus = std::ssize(rows) - last;
    if (surplus > 0) rows.erase(rows.begin(), rows.begin() + surplus);
    co_return rows;
}

}  // namespace qvd::admin
