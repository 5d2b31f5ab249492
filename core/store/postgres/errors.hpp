// What PostgreSQL's refusals mean to a caller of the Store.
#pragma once

#include "base/result.hpp"

#include <libpq-fe.h>

namespace qvd::store::postgres {

// Of a failed statement: unique and foreign keys and checks by answers::violated(), a time-out
// "store.timeout", rights "store.denied", a missing schema "store.no_schema", a server that goes
// down "store.down", deadlocks "store.again" (unavailable), anything else internal "store.query".
Error error_of(const PGresult* result, bool deleting);
// Of a connection that does not come up or broke: "store.down", or "store.denied" for a wrong
// password or a role that the server does not let in.
Error error_of(const PGconn* connection);

}  // namespace qvd::store::postgres
