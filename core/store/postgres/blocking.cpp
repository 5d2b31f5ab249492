#include "store/postgres/blocking.hpp"

#include "store/answers.hpp"
#include "store/postgres/errors.hpp"

#include <algorithm>

namespace qvd::store::postgres {

namespace {

// Nobody wants to read "relation exists, skipping".
void ignore_notice(void* /*argument*/, const PGresult* /*notice*/) {
}

}  // namespace

Result<BlockingConnection> BlockingConnection::open(const Access& access) {
    Error last = answers::down("no server is configured");
    for (const std::string& host : access.hosts) {
        Access::Parameters parameters = access.parameters(host, {});
        parameters.emplace_back("connect_timeout", Secret(std::to_string(std::max<std::int64_t>(
                                                       2, access.connect_timeout.count() / 1000))));
        std::vector<const char*> keys;
        std::vector<const char*> values;
        for (const auto& [key, value] : parameters) {
            keys.push_back(key.c_str());
            values.push_back(value.reveal().data());
        }
        keys.push_back(nullptr);
        values.push_back(nullptr);
        BlockingConnection connection(PQconnectdbParams(keys.data(), values.data(), 0));
        PGconn* const raw = connection.connection_.get();
        if (PQstatus(raw) == CONNECTION_OK) {
            PQsetNoticeReceiver(raw, &ignore_notice, nullptr);
            return connection;
        }
        last = error_of(raw);
    }
    return last;
}

Result<Rows> BlockingConnection::ask(const Statement& statement) const {
    std::vector<const char*> values;
    for (const Value& value : statement.values)
        values.push_back(value ? value->reveal().data() : nullptr);
    Rows rows(PQexecParams(connection_.get(), statement.sql, static_cast<int>(values.size()),
                           nullptr, values.data(), nullptr, nullptr, 0));
    if (!rows.good()) return error_of(rows.raw(), statement.deleting);
    return rows;
}

Result<void> BlockingConnection::script(const char* sql) const {
    const Rows rows(PQexec(connection_.get(), sql));
    if (!rows.good()) return error_of(rows.raw(), false);
    return {};
}

std::string BlockingConnection::quoted_name(const std::string& name) const {
    char* const quoted = PQescapeIdentifier(connection_.get(), name.data(), name.size());
    if (quoted == nullptr) return "\"\"";
    std::string copy(quoted);
    PQfreemem(quoted);
    return copy;
}

}  // namespace qvd::store::postgres
