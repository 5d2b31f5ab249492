// What a command has to say, as a table for people or as JSON for programs.
#pragma once

#include "admin/row.hpp"

#include <string>
#include <vector>

namespace qvd::qa {

struct Column {
    std::string title;
    std::string key;
};

struct Output {
    std::vector<Column> columns;  // of a table; empty: each row is shown whole, key by key
    std::vector<admin::Row> rows;
    std::string line;                // instead of rows: "1 vm started"
    std::vector<admin::Cell> facts;  // the same for --json
    std::string answer;              // instead of a table, what was asked for: also with --quiet
    bool is_list = false;
    bool failed = false;   // something was done, and did not succeed
    bool refused = false;  // nothing was done, because of the things' state
};

// One line, with facts for --json.
Output said(std::string line, std::vector<admin::Cell> facts);

// Aligned columns; header and rule unless `quiet`; "-" for what is missing.
std::string as_table(const Output& output, bool quiet);
// A list is an array of objects with all their keys, anything else one object.
std::string as_json(const Output& output);

}  // namespace qvd::qa
