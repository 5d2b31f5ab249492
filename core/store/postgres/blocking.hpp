// A plain, blocking connection, for the schema only.
#pragma once

#include "store/postgres/access.hpp"
#include "store/postgres/rows.hpp"
#include "store/postgres/statement.hpp"

namespace qvd::store::postgres {

class BlockingConnection {
public:
    // To the first of the hosts that answers. Errors: store.down, store.denied.
    static Result<BlockingConnection> open(const Access& access);

    Result<Rows> ask(const Statement& statement) const;
    // Several statements without values, e.g. a migration.
    Result<void> script(const char* sql) const;
    // As a name may stand in a statement.
    [[nodiscard]] std::string quoted_name(const std::string& name) const;

private:
    explicit BlockingConnection(PGconn* connection) : connection_(connection, &PQfinish) {}

    std::unique_ptr<PGconn, decltype(&PQfinish)> connection_;
};

}  // namespace qvd::store::postgres
