// The schema: made, brought up to date, thrown away. Blocking; for qvd-deploy-db, qa and tests.
#pragma once

#include "config/view.hpp"

#include <string>
#include <vector>

namespace qvd::store {

// The schema version that this program works with.
[[nodiscard]] int schema_version();

struct SchemaState {
    std::string where;     // "the embedded database", "db1.example.org:5432/qvd"
    int version = 0;       // 0: no schema
    std::string contents;  // "3 users, 12 virtual machines, 1 host, 2 osfs, 5 images"; empty: none
};
// Looks, changes nothing. Errors: store.down, store.denied.
Result<SchemaState> schema_state(const config::View& view);

// What deploy() did, one sentence each, and what somebody should know.
struct Deployment {
    std::vector<std::string> done;
    std::vector<std::string> warnings;
};
// Runs the migrations that are missing and grants each role its rights, in one transaction; safe
// when several do it at once. With `drop` everything there is goes first. Errors: store.down,
// store.denied, store.schema_newer (nothing is touched then, unless `drop`), store.deploy.
Result<Deployment> deploy(const config::View& view, bool drop = false);

}  // namespace qvd::store
