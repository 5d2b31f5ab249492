// A private PostgreSQL for the tests of this executable, made on first use, gone at its end.
#pragma once

#include "config/view.hpp"
#include "store/embedded.hpp"

#include <string>

namespace qvd::store::test {

// The configuration of a node whose embedded database lies under `folder`.
config::View view_of(const std::string& folder, const std::string& more = "");
// Who runs it here: qvd-db, or else postgres.
std::string os_user();
// root may be every role here, and the server's user comes in as the superuser.
EmbeddedPlace place_of(const config::View& view);
// A new folder that the server's user can reach.
std::string new_folder();

// The cluster that most tests share: running, with the schema.
const config::View& shared_view();
// Without what earlier tests left in it.
void empty_shared();

// Waits for that, in the way of a program: runs a statement as `role` with psql's own library.
// What it gives, or the SQLSTATE of its refusal, "42501".
std::string sql(const config::View& view, const std::string& role, const std::string& statement);

}  // namespace qvd::store::test
