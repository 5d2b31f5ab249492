#include "store/postgres/rows.hpp"

#include "base/text.hpp"

#include <charconv>
#include <cstring>
#include <ctime>

namespace qvd::store::postgres {

namespace {

// A whole text as a number.
template <class T>
bool read_number(std::string_view text, T& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

// "2026-03-01 12:34:56.789+00", as DateStyle ISO and TimeZone UTC give it.
std::optional<Timestamp> read_time(std::string_view text) {
    if (text.size() < 22 || !text.ends_with("+00")) return std::nullopt;
    std::tm parts{};
    const auto part = [&](std::size_t at, std::size_t length, int& into) {
        return read_number(text.substr(at, length), into);
    };
    if (!part(0, 4, parts.tm_year) || !part(5, 2, parts.tm_mon) || !part(8, 2, parts.tm_mday) ||
        !part(11, 2, parts.tm_hour) || !part(14, 2, parts.tm_min) || !part(17, 2, parts.tm_sec))
        return std::nullopt;
    parts.tm_year -= 1900;
    parts.tm_mon -= 1;
    std::string fraction(text.substr(19, text.size() - 22));
    std::int64_t microseconds = 0;
    if (!fraction.empty()) {
        fraction.resize(7, '0');
        if (fraction.front() != '.' ||
            !read_number(std::string_view(fraction).substr(1), microseconds))
            return std::nullopt;
    }
    return std::chrono::system_clock::from_time_t(::timegm(&parts)) +
           std::chrono::microseconds(microseconds);
}

}  // namespace

int Row::find(const char* column) const {
    PGresult* const result = rows_->result_.get();
    int& next = rows_->next_column_;
    const bool expected =
        next < PQnfields(result) && std::strcmp(PQfname(result, next), column) == 0;
    const int found = expected ? next : PQfnumber(result, column);
    next = found + 1;
    return found;
}

const char* Row::value(const char* column) const {
    const int found = find(column);
    if (found < 0) {
        note(column, "no such column");
        return nullptr;
    }
    if (PQgetisnull(rows_->result_.get(), number_, found) != 0) return nullptr;
    return PQgetvalue(rows_->result_.get(), number_, found);
}

void Row::note(const char* column, std::string_view value) const {
    if (rows_->fault_.empty())
        rows_->fault_ = std::string(column) + " holds " + text::quoted(value, 80);
}

bool Row::is_null(const char* column) const {
    return value(column) == nullptr;
}

std::string Row::text(const char* column) const {
    const char* const found = value(column);
    return found == nullptr ? std::string{} : std::string(found);
}

std::int64_t Row::integer(const char* column) const {
    const char* const found = value(column);
    std::int64_t number = 0;
    if (found == nullptr || !read_number(found, number))
        note(column, found != nullptr ? found : "NULL");
    return number;
}

double Row::real(const char* column) const {
    const char* const found = value(column);
    double number = 0;
    if (found == nullptr || !read_number(found, number))
        note(column, found != nullptr ? found : "NULL");
    return number;
}

bool Row::flag(const char* column) const {
    const char* const found = value(column);
    if (found == nullptr) note(column, "NULL");
    return found != nullptr && *found == 't';
}

Timestamp Row::time(const char* column) const {
    const char* const found = value(column);
    const auto time = found == nullptr ? std::nullopt : read_time(found);
    if (!time) note(column, found != nullptr ? found : "NULL");
    return time.value_or(Timestamp{});
}

std::optional<Timestamp> Row::maybe_time(const char* column) const {
    const char* const found = value(column);
    if (found == nullptr) return std::nullopt;
    const auto time = read_time(found);
    if (!time) note(column, found);
    return time;
}

int Rows::changed() const {
    const std::string_view count = PQcmdTuples(result_.get());
    int number = 0;
    return read_number(count, number) ? number : 0;
}

Result<void> Rows::check() const {
    if (fault_.empty()) return {};
    return Error{ErrorKind::internal, "store.row",
                 "the database holds something unexpected: " + fault_};
}

}  // namespace qvd::store::postgres
