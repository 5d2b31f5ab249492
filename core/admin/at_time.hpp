// Times as the command `at` takes them (manual, chapter 14): "now + 3 days", "teatime tomorrow",
// "10:30pm 24.12.2026", "NEXT SAT".
#pragma once

#include "base/result.hpp"
#include "model/vm.hpp"

#include <string_view>

namespace qvd::admin {

// time [UTC] [date] [+|- count unit], or a date alone, which keeps the time of day; in whole
// minutes, in the time zone of this process (TZ) unless UTC is said. A time alone that is past
// means tomorrow, a day without a year that is past next year. invalid "time.syntax" and, for what
// is past all the same, "time.past".
Result<Timestamp> parse_at_time(std::string_view text, Timestamp now);

}  // namespace qvd::admin
