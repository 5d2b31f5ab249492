// The SQL files of migrations/, compiled in.
#pragma once

#include <vector>

namespace qvd::store::postgres {

struct Migration {
    int version =
        0;  // the schema's after it; of the name of its file, ascending; there never was a 5
    const char* name = nullptr;
    const char* sql = nullptr;
};

extern const std::vector<Migration> migrations;
// What hkd and broker may do; run after every deployment.
extern const char* const grants_sql;

}  // namespace qvd::store::postgres
