#include "admin/at_time.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace qvd::admin {

namespace {

constexpr std::array months{"jan", "feb", "mar", "apr", "may", "jun",
                            "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array month_names{"january",   "february", "march",    "april",
                                 "may",       "june",     "july",     "august",
                                 "september", "october",  "november", "december"};
constexpr std::array days{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::array day_names{"sunday",   "monday", "tuesday", "wednesday",
                               "thursday", "friday", "saturday"};

enum class Unit { minute, hour, day, week, month, year };
constexpr std::array unit_names{"minute", "hour", "day", "week", "month", "year"};

bool is_number(std::string_view token) {
    return !token.empty() && std::isdigit(static_cast<unsigned char>(token.front())) != 0;
}

// Runs of letters, runs of digits, and single signs, in lower case.
std::vector<std::string> tokens_of(std::string_view text) {
    std::vector<std::string> tokens;
    const auto kind = [](unsigned char letter) {
        return std::isdigit(letter) != 0 ? 1 : std::isalpha(letter) != 0 ? 2 : 0;
    };
    int before = 0;
    for (const char letter : text::lower(std::string(text))) {
        const int now = kind(static_cast<unsigned char>(letter));
        const bool blank = std::isspace(static_cast<unsigned char>(letter)) != 0;
        if (!blank && now != 0 && now == before)
            tokens.back() += letter;
        else if (!blank)
            tokens.emplace_back(1, letter);
        before = blank ? 0 : now;
    }
    return tokens;
}

// Of "tuesday" and "tue" the same, as far as `at` knows the word.
template <class Short, class Long>
std::optional<int> index_of(std::string_view word, const Short& abbreviations, const Long& names) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (word == abbreviations.at(i) || word == names.at(i)) return static_cast<int>(i);
    return std::nullopt;
}

std::optional<int> weekday_of(std::string_view word) {
    if (word == "tues") return 2;
    if (word == "wednes") return 3;
    if (word == "thur" || word == "thurs") return 4;
    return index_of(word, days, day_names);
}

std::optional<int> month_of(std::string_view word) {
    return word == "sept" ? 8 : index_of(word, months, month_names);
}

std::optional<Unit> unit_of(std::string_view word) {
    if (word == "min" || word == "mins") return Unit::minute;
    for (std::size_t i = 0; i < unit_names.size(); ++i)
        if (word == unit_names.at(i) || word == std::string(unit_names.at(i)) + "s")
            return static_cast<Unit>(i);
    return std::nullopt;
}

// 26 is 2026, 71 is 1971.
int full_year(int year) {
    if (year >= 100) return year;
    return year < 70 ? 2000 + year : 1900 + year;
}

class Reader {
public:
    Reader(std::string_view text, Timestamp now)
        : text_(text), tokens_(tokens_of(text)), now_(std::chrono::system_clock::to_time_t(now)) {
        now_ -= now_ % 60;
        day_ = broken_down(now_);
    }

    Result<Timestamp> run();

private:
    // A shape that does not fit is `false`, a value that cannot be an error.
    Result<bool> time();
    Result<bool> clock_time();
    Result<bool> date();
    Result<bool> date_of_numbers();
    Result<bool> date_with_month();
    Result<bool> date_by_name();
    Result<void> increment();
    Result<void> set_date(std::optional<int> year, int month, int day);
    Result<void> set_clock(int hour, int minute, std::string_view half);
    [[nodiscard]] Result<Timestamp> instant();

    [[nodiscard]] std::string_view peek(std::size_t ahead = 0) const {
        return at_ + ahead < tokens_.size() ? std::string_view(tokens_[at_ + ahead]) : "";
    }
    [[nodiscard]] bool number_at(std::size_t ahead, std::size_t least, std::size_t most) const {
        const std::string_view token = peek(ahead);
        return is_number(token) && token.size() >= least && token.size() <= most;
    }
    // Of a token that is known to be a number of at most 9 digits.
    [[nodiscard]] int number(std::size_t ahead) const {
        return static_cast<int>(text::to_integer(peek(ahead)).value_or(0));
    }
    bool take(std::string_view word) {
        if (peek() != word) return false;
        ++at_;
        return true;
    }
    [[nodiscard]] std::tm broken_down(std::time_t at) const {
        std::tm parts{};
        if (utc_)
            ::gmtime_r(&at, &parts);
        else
            ::localtime_r(&at, &parts);
        return parts;
    }
    [[nodiscard]] std::time_t joined(std::tm parts) const {
        parts.tm_isdst = -1;
        return utc_ ? ::timegm(&parts) : ::mktime(&parts);
    }
    void add(std::int64_t count, Unit unit);
    [[nodiscard]] Error wrong(const std::string& why) const {
        return {ErrorKind::invalid, "time.syntax",
                text::quoted(text_, 64) + " is not a time: " + why +
                    " (e.g. now + 3 days, 10:30pm tomorrow, teatime 24.12.2026, next sat)"};
    }

    std::string_view text_;
    std::vector<std::string> tokens_;
    std::size_t at_ = 0;
    std::time_t now_;
    bool utc_ = false;
    std::tm day_{};
    bool time_only_ = false;   // past means tomorrow
    bool year_given_ = false;  // past means past
};

void Reader::add(std::int64_t count, Unit unit) {
    const int number = static_cast<int>(count);
    switch (unit) {
        case Unit::minute:
        case Unit::hour:
            // Elapsed time, whatever the clocks do meanwhile.
            day_ = broken_down(joined(day_) + count * (unit == Unit::hour ? 3600 : 60));
            return;
        case Unit::day:
            day_.tm_mday += number;
            break;
        case Unit::week:
            day_.tm_mday += number * 7;
            break;
        case Unit::month:
            day_.tm_mon += number;
            break;
        case Unit::year:
            day_.tm_year += number;
            break;
    }
    time_only_ = false;
    day_ = broken_down(joined(day_));
}

Result<void> Reader::set_clock(int hour, int minute, std::string_view half) {
    if (!half.empty() && hour > 12)
        return wrong("there is no hour " + std::to_string(hour) + " " + std::string(half));
    if (hour > 23 || minute > 59) return wrong("there is no such time of day");
    if (half == "am") hour %= 12;
    if (half == "pm") hour = hour % 12 + 12;
    day_.tm_hour = hour;
    day_.tm_min = minute;
    return {};
}

// 1030, 10:30, 10.30, 10h30, 10:30pm, 10pm; a bare hour could as well be a day.
Result<bool> Reader::clock_time() {
    constexpr std::string_view separators = ":.h',";
    int hour = 0;
    int minute = 0;
    if (number_at(0, 4, 4)) {
        hour = number(0) / 100;
        minute = number(0) % 100;
        ++at_;
    } else if (number_at(0, 1, 2) && peek(1).size() == 1 &&
               separators.find(peek(1).front()) != std::string_view::npos && number_at(2, 1, 2)) {
        hour = number(0);
        minute = number(2);
        at_ += 3;
    } else if (number_at(0, 1, 2) && (peek(1) == "am" || peek(1) == "pm")) {
        hour = number(0);
        ++at_;
    } else {
        return false;
    }
    std::string_view half;
    if (peek() == "am" || peek() == "pm") half = tokens_[at_++];
    QVD_CHECK(set_clock(hour, minute, half));
    return true;
}

Result<bool> Reader::time() {
    // 24.12.2026 and 2026-12-24 begin like a time.
    const bool numeric_date = is_number(peek()) && is_number(peek(2)) && is_number(peek(4)) &&
                              peek(1) == peek(3) && peek(1).size() == 1;
    if (numeric_date) return false;
    if (take("now")) {
        year_given_ = true;
        return true;
    }
    if (take("noon")) {
        QVD_CHECK(set_clock(12, 0, ""));
    } else if (take("midnight")) {
        QVD_CHECK(set_clock(0, 0, ""));
    } else if (take("teatime")) {
        QVD_CHECK(set_clock(16, 0, ""));
    } else {
        QVD_TRY(const bool given, clock_time());
        if (!given) return false;
    }
    time_only_ = true;
    if (take("utc")) {
        const std::tm clock = day_;
        utc_ = true;
        day_ = broken_down(now_);
        day_.tm_hour = clock.tm_hour;
        day_.tm_min = clock.tm_min;
    }
    return true;
}

Result<void> Reader::set_date(std::optional<int> year, int month, int day) {
    if (month < 1 || month > 12) return wrong("there is no month " + std::to_string(month));
    const std::tm today = broken_down(now_);
    int which = today.tm_year + 1900;
    if (year) {
        which = full_year(*year);
    } else if (month - 1 < today.tm_mon || (month - 1 == today.tm_mon && day < today.tm_mday)) {
        ++which;
    }
    const std::chrono::year_month_day date{std::chrono::year{which},
                                           std::chrono::month{static_cast<unsigned>(month)},
                                           std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok())
        return wrong(std::to_string(which) + "-" + std::to_string(month) + " has no day " +
                     std::to_string(day));
    day_.tm_year = which - 1900;
    day_.tm_mon = month - 1;
    day_.tm_mday = day;
    year_given_ = true;
    return {};
}

// 2026-12-24, 24.12.2026, 12/24/2026, 12242026, each also with two digits for the year.
Result<bool> Reader::date_of_numbers() {
    if (number_at(0, 5, 8)) {
        const int digits = static_cast<int>(peek().size());
        const int year_scale = digits >= 7 ? 10000 : 100;
        const int value = number(0);
        ++at_;
        QVD_CHECK(set_date(value % year_scale, value / year_scale / 100, value / year_scale % 100));
        return true;
    }
    if (!number_at(0, 1, 4) || !number_at(2, 1, 2) || !number_at(4, 1, 4) || peek(1) != peek(3))
        return false;
    const std::string_view sign = peek(1);
    const int first = number(0);
    const int second = number(2);
    const int third = number(4);
    if (sign != "-" && sign != "." && sign != "/") return false;
    at_ += 5;
    if (sign == "-") QVD_CHECK(set_date(first, second, third));
    if (sign == ".") QVD_CHECK(set_date(third, second, first));
    if (sign == "/") QVD_CHECK(set_date(third, first, second));
    return true;
}

// dec 24, dec 24 2026, dec 24, 2026, 24 dec, 24 dec 2026.
Result<bool> Reader::date_with_month() {
    std::optional<int> month = month_of(peek());
    int day = 0;
    if (month && number_at(1, 1, 2)) {
        day = number(1);
    } else if (number_at(0, 1, 2) && month_of(peek(1))) {
        month = month_of(peek(1));
        day = number(0);
    } else {
        return false;
    }
    at_ += 2;
    if (peek() == "," && (number_at(1, 2, 2) || number_at(1, 4, 4))) ++at_;
    std::optional<int> year;
    if (number_at(0, 2, 2) || number_at(0, 4, 4)) {
        year = number(0);
        ++at_;
    }
    QVD_CHECK(set_date(year, *month + 1, day));
    return true;
}

Result<bool> Reader::date_by_name() {
    if (take("today")) return true;
    if (take("tomorrow")) {
        add(1, Unit::day);
        return true;
    }
    const bool next = take("next");
    if (const auto weekday = weekday_of(peek())) {
        ++at_;
        // Never today: the next one.
        add((6 + *weekday - day_.tm_wday) % 7 + 1, Unit::day);
        return true;
    }
    if (!next) return false;
    const auto unit = unit_of(peek());
    if (!unit) return wrong("after \"next\" comes a day of the week or a unit of time");
    ++at_;
    add(1, *unit);
    return true;
}

Result<bool> Reader::date() {
    for (const auto form :
         {&Reader::date_of_numbers, &Reader::date_with_month, &Reader::date_by_name}) {
        QVD_TRY(const bool given, (this->*form)());
        if (given) return true;
    }
    return false;
}

Result<void> Reader::increment() {
    const std::int64_t sign = peek() == "-" ? -1 : 1;
    if (peek() != "+" && peek() != "-") return {};
    const auto unit = unit_of(peek(2));
    if (!number_at(1, 1, 6) || !unit)
        return wrong(
            "after + and - come a number and minutes, hours, days, weeks, months or years");
    const int count = number(1);
    at_ += 3;
    add(sign * count, *unit);
    return {};
}

Result<Timestamp> Reader::instant() {
    std::tm when = day_;
    const std::tm today = broken_down(now_);
    const bool same_day = when.tm_year == today.tm_year && when.tm_yday == today.tm_yday;
    const bool past_today = when.tm_hour * 60 + when.tm_min <= today.tm_hour * 60 + today.tm_min;
    if (time_only_ && same_day && past_today) ++when.tm_mday;
    when.tm_sec = 0;
    const std::time_t at = joined(when);
    constexpr std::time_t year_2200 = 7'258'118'400;
    if (at >= year_2200) return wrong("it is too far away");
    if (at < now_)
        return Error{ErrorKind::invalid, "time.past", text::quoted(text_, 64) + " is past already"};
    return std::chrono::system_clock::from_time_t(at);
}

Result<Timestamp> Reader::run() {
    if (tokens_.empty()) return wrong("it is empty");
    QVD_TRY(const bool timed, time());
    const std::size_t behind_time = at_;
    QVD_TRY(const bool dated, date());
    if (dated && at_ > behind_time) time_only_ = false;
    if (!timed && !dated) return wrong("it begins with neither a time nor a date");
    QVD_CHECK(increment());
    if (at_ < tokens_.size())
        return wrong("nothing is known of " + text::quoted(tokens_[at_], 32) + " here");
    return instant();
}

}  // namespace

Result<Timestamp> parse_at_time(std::string_view text, Timestamp now) {
    return Reader(text, now).run();
}

}  // namespace qvd::admin
