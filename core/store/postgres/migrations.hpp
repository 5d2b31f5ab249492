// The SQL files of migrations/, compiled in.
#pragma once

#include <vector>

namespace qvd::store::postgres {

struct Migration {
    // The schema's after it: the number of its file. They ascend; there never was a 5.
    int version = 0;
    const char* name = nullptr;
    const char* sql = nullptr;
};

extern const std::vector<Migration> migrations;
// What hkd and broker may do; run after every deployment.
extern const char* const grants_sql;

}  // namespace qvd::store::postgres
