// Times as the command `at` takes them.
#include "admin/at_time.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <string>

using namespace qvd;

namespace {

// This process lives in Madrid while it exists.
struct InMadrid {
    InMadrid() {
        ::setenv("TZ", "Europe/Madrid", 1);
        ::tzset();
    }
    ~InMadrid() {
        ::unsetenv("TZ");
        ::tzset();
    }
    InMadrid(const InMadrid&) = delete;
    InMadrid& operator=(const InMadrid&) = delete;
};

// "2026-11-22 14:05:30" there.
Timestamp local(const std::string& text) {
    std::tm parts{};
    REQUIRE(::strptime(text.c_str(), "%Y-%m-%d %H:%M:%S", &parts) != nullptr);
    parts.tm_isdst = -1;
    return std::chrono::system_clock::from_time_t(::mktime(&parts));
}

std::string shown(Timestamp time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    std::array<char, 32> out{};
    (void)std::strftime(out.data(), out.size(), "%Y-%m-%d %H:%M:%S", &parts);
    return out.data();
}

// On a Sunday.
std::string at(const std::string& text, const std::string& now = "2026-11-22 14:05:30") {
    const auto time = admin::parse_at_time(text, local(now));
    return time.ok() ? shown(*time) : time.error().code();
}

}  // namespace

TEST_CASE("a time of day is taken in each spelling, and tomorrow if it is past") {
    const InMadrid madrid;
    for (const char* const text : {"15:30", "1530", "15.30", "15h30", "3:30pm", "3:30 PM", "15'30"})
        CHECK_MESSAGE(at(text) == "2026-11-22 15:30:00", text);
    CHECK(at("5pm") == "2026-11-22 17:00:00");
    CHECK(at("5 am") == "2026-11-23 05:00:00");
    CHECK(at("12am") == "2026-11-23 00:00:00");
    CHECK(at("0am") == "2026-11-23 00:00:00");
    CHECK(at("12pm") == "2026-11-23 12:00:00");
    CHECK(at("14:04") == "2026-11-23 14:04:00");
    CHECK(at("14:05") == "2026-11-23 14:05:00");
    CHECK(at("14:06") == "2026-11-22 14:06:00");
    CHECK(at("0000") == "2026-11-23 00:00:00");
}

TEST_CASE("midnight, noon, teatime and now are times") {
    const InMadrid madrid;
    CHECK(at("midnight") == "2026-11-23 00:00:00");
    CHECK(at("noon") == "2026-11-23 12:00:00");
    CHECK(at("teatime") == "2026-11-22 16:00:00");
    CHECK(at("TeaTime tomorrow") == "2026-11-23 16:00:00");
    CHECK(at("now") == "2026-11-22 14:05:00");
    CHECK(at("NOW") == "2026-11-22 14:05:00");
}

TEST_CASE("today, tomorrow, days of the week and next are dates; alone they keep the time of day") {
    const InMadrid madrid;
    CHECK(at("today") == "2026-11-22 14:05:00");
    CHECK(at("tomorrow") == "2026-11-23 14:05:00");
    CHECK(at("15:00 today") == "2026-11-22 15:00:00");
    CHECK(at("10:00 tomorrow") == "2026-11-23 10:00:00");
    CHECK(at("10am sat") == "2026-11-28 10:00:00");
    CHECK(at("10am Saturday") == "2026-11-28 10:00:00");
    CHECK(at("23:00 sunday") == "2026-11-29 23:00:00");
    CHECK(at("mon") == "2026-11-23 14:05:00");
    CHECK(at("NEXT SAT") == "2026-11-28 14:05:00");
    CHECK(at("noon next thursday") == "2026-11-26 12:00:00");
    CHECK(at("next minute") == "2026-11-22 14:06:00");
    CHECK(at("next hour") == "2026-11-22 15:05:00");
    CHECK(at("next day") == "2026-11-23 14:05:00");
    CHECK(at("next week") == "2026-11-29 14:05:00");
    CHECK(at("next month") == "2026-12-22 14:05:00");
    CHECK(at("next year") == "2027-11-22 14:05:00");
    CHECK(at("now tomorrow") == "2026-11-23 14:05:00");
}

TEST_CASE("a date is taken in each spelling, behind the time") {
    const InMadrid madrid;
    for (const char* const text :
         {"10:00 dec 24", "10:00 December 24", "10am 24 dec", "10:00 dec 24 2026",
          "10:00 dec 24, 2026", "10:00 dec 24 26", "10:00 24 december 2026", "10:00 122426",
          "10:00 12242026", "10:00 12/24/26", "10:00 12/24/2026", "1000 24.12.26",
          "10:00 24.12.2026", "10:00 2026-12-24", "10:00 26-12-24"})
        CHECK_MESSAGE(at(text) == "2026-12-24 10:00:00", text);
    CHECK(at("2026-12-24") == "2026-12-24 14:05:00");
    CHECK(at("24.12.2026") == "2026-12-24 14:05:00");
    CHECK(at("10:00 10127") == "2027-01-01 10:00:00");
    CHECK(at("10:00 1012027") == "2027-01-01 10:00:00");
}

TEST_CASE("a day without a year that is past is next year's") {
    const InMadrid madrid;
    CHECK(at("10:00 jan 6") == "2027-01-06 10:00:00");
    CHECK(at("10:00 nov 21") == "2027-11-21 10:00:00");
    CHECK(at("15:00 nov 22") == "2026-11-22 15:00:00");
    CHECK(at("10:00 feb 29", "2027-06-01 00:00:00") == "2028-02-29 10:00:00");
}

TEST_CASE("counts of minutes, hours, days, weeks, months and years are added and taken away") {
    const InMadrid madrid;
    CHECK(at("now + 1 minute") == "2026-11-22 14:06:00");
    CHECK(at("now + 90 minutes") == "2026-11-22 15:35:00");
    CHECK(at("now+5min") == "2026-11-22 14:10:00");
    CHECK(at("now + 2 hours") == "2026-11-22 16:05:00");
    CHECK(at("now + 3 days") == "2026-11-25 14:05:00");
    CHECK(at("now + 1 week") == "2026-11-29 14:05:00");
    CHECK(at("now + 2 months") == "2027-01-22 14:05:00");
    CHECK(at("now + 1 year") == "2027-11-22 14:05:00");
    CHECK(at("4pm + 3 days") == "2026-11-25 16:00:00");
    CHECK(at("16:00 dec 1 - 2 hours") == "2026-12-01 14:00:00");
    CHECK(at("noon tomorrow + 1 week") == "2026-11-30 12:00:00");
    CHECK(at("tomorrow + 2 hours") == "2026-11-23 16:05:00");
    // What a time alone becomes by minutes and hours may be past, too.
    CHECK(at("13:00 + 30 minutes") == "2026-11-23 13:30:00");
    CHECK(at("13:00 + 2 hours") == "2026-11-22 15:00:00");
    CHECK(at("now + 1 month", "2026-01-31 10:00:00") == "2026-03-03 10:00:00");
}

TEST_CASE("UTC behind a time means that time zone, its date too") {
    const InMadrid madrid;
    CHECK(at("14:00 UTC") == "2026-11-22 15:00:00");
    CHECK(at("13:00 utc") == "2026-11-23 14:00:00");
    CHECK(at("noon UTC tomorrow") == "2026-11-23 13:00:00");
    CHECK(at("10:00 UTC jul 1") == "2027-07-01 12:00:00");
    CHECK(at("23:30 UTC today", "2026-11-23 00:30:00") == "2026-11-23 00:30:00");
}

TEST_CASE("a day later is the same time of day, an hour later is an hour later") {
    const InMadrid madrid;
    // The clocks go back on 25 October 2026 at three.
    CHECK(at("tomorrow", "2026-10-24 12:00:00") == "2026-10-25 12:00:00");
    CHECK(at("now + 1 day", "2026-10-24 12:00:00") == "2026-10-25 12:00:00");
    CHECK(at("now + 24 hours", "2026-10-24 12:00:00") == "2026-10-25 11:00:00");
    // And forward on 29 March 2026 at two.
    CHECK(at("now + 2 hours", "2026-03-29 01:30:00") == "2026-03-29 04:30:00");
}

TEST_CASE("what is no time is refused, and so is what is past") {
    const InMadrid madrid;
    for (const char* const text : {"",
                                   " ",
                                   "yesterday",
                                   "10",
                                   "25:00",
                                   "10:60",
                                   "13pm",
                                   "10:00 feb 30",
                                   "10:00 2026-13-01",
                                   "10:00 32.12.2026",
                                   "now +",
                                   "now + 3",
                                   "now + days",
                                   "now + 3 fortnights",
                                   "next",
                                   "next noon",
                                   "tomorrow 10:00",
                                   "10:00 tomorrow please",
                                   "10:00 CET",
                                   "+ 3 days",
                                   "now + 999999999 years",
                                   "12:30:45",
                                   "10:00 1.2",
                                   "nöon"})
        CHECK_MESSAGE(at(text) == "time.syntax", text);
    CHECK(at("now + 999999 years") == "time.syntax");
    for (const char* const text :
         {"13:00 today", "midnight today", "now - 1 minute", "10:00 2026-11-22", "24.12.2025",
          "12/24/99", "noon tomorrow - 2 days"})
        CHECK_MESSAGE(at(text) == "time.past", text);
}

TEST_CASE("the refusal says what was wrong and how it is written") {
    const InMadrid madrid;
    const auto refused = admin::parse_at_time("tomorrow 10:00", local("2026-11-22 14:05:30"));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().sentence().find("\"10\"") != std::string::npos);
    CHECK(refused.error().sentence().find("now + 3 days") != std::string::npos);
}
