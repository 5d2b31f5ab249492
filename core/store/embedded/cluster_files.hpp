// What stands in the embedded cluster's configuration files.
#pragma once

#include "store/embedded.hpp"

namespace qvd::store::embedded {

// Writes postgresql.conf, pg_hba.conf and pg_ident.conf into `folder`. Errors: file.*.
Result<void> write_configuration(const EmbeddedPlace& place, const std::string& folder);
// The roles and the database, for the server's single-user mode: one statement a line.
[[nodiscard]] std::string first_statements(const EmbeddedPlace& place);

}  // namespace qvd::store::embedded
