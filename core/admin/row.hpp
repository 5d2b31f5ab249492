// The things of the farm as rows of named texts: what filters match and lists show.
#pragma once

#include "store/store.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qvd::admin {

// One value of a row. `number`: an integer for --json; `boolean`: "1" or "0"; `missing`: shown as
// "-".
struct Cell {
    enum class Kind { text, number, boolean, missing };
    std::string key;
    std::string value;
    Kind kind = Kind::text;
    std::string word = {};  // for people, where it is not the value

    [[nodiscard]] std::string shown() const;
};

class Row {
public:
    Row& text(std::string_view key, std::string_view value);
    Row& given(std::string_view key, std::string_view value);  // an empty one is not missing
    Row& number(std::string_view key, std::int64_t value);
    // A size or a count of which there may be none: 0 is shown as "-".
    Row& number_or_none(std::string_view key, std::int64_t value);
    Row& bytes(std::string_view key, std::int64_t value);  // "187.3 MiB"; 0 is shown as "-"
    Row& boolean(std::string_view key, bool value);  // 1 or 0, as in the manual's tables of VMs
    Row& yes_or_no(std::string_view key, bool value);
    Row& missing(std::string_view key);

    [[nodiscard]] const Cell* find(std::string_view key) const;
    [[nodiscard]] const std::vector<Cell>& cells() const { return cells_; }

private:
    std::vector<Cell> cells_;
};

// Keys as in behaviour 6.2: the object's own columns and the aliases (`user`, `osf`, `host`, ...).
Row row_of(const store::VmRecord& record);
Row row_of(const store::NodeRecord& record, Timestamp now);
Row row_of(const store::OsfRecord& record);
Row row_of(const store::DiRecord& record);
Row row_of(const User& user);
Row row_of(const Operator& who);
Row row_of(const store::AuditLine& line);

// "2026-11-22 14:05:00 CET", and "2026-11-22T13:05:00Z" of the same.
std::string zoned_time(Timestamp time);
std::string utc_time(Timestamp time);
// "2026-11-22 14:05:00" in local time.
std::string local_time(Timestamp time);

}  // namespace qvd::admin
