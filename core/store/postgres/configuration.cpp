// Configuration, certificate, properties and the audit table on PostgreSQL.
#include "store/answers.hpp"
#include "store/checks.hpp"
#include "store/postgres/postgres_store.hpp"

namespace qvd::store::postgres {

namespace {

constexpr const char* key_of_key = "l7r.ssl.key";
constexpr const char* key_of_certificate = "l7r.ssl.cert";
constexpr const char* key_of_ca = "l7r.ssl.ca";
constexpr const char* key_of_crl = "l7r.ssl.crl";

struct PropertyStatements {
    const char* select;
    const char* select_all;
    const char* insert;
    const char* remove;
};

PropertyStatements statements_of(Owner owner) {
#define QVD_PROPERTY_STATEMENTS(table)                                            \
    {                                                                             \
        "SELECT key, value FROM " table " WHERE owner_id = $1",                   \
            "SELECT owner_id, key, value FROM " table,                            \
            "INSERT INTO " table                                                  \
            " SELECT $1::bigint, * FROM unnest($2::text[], $3::text[]) "          \
            "ON CONFLICT (owner_id, key) DO UPDATE SET value = excluded.value",   \
            "DELETE FROM " table " WHERE owner_id = $1 AND key = ANY($2::text[])" \
    }
    switch (owner) {
        case Owner::user:
            return QVD_PROPERTY_STATEMENTS("user_properties");
        case Owner::vm:
            return QVD_PROPERTY_STATEMENTS("vm_properties");
        case Owner::osf:
            return QVD_PROPERTY_STATEMENTS("osf_properties");
        case Owner::di:
            return QVD_PROPERTY_STATEMENTS("di_properties");
        case Owner::node:
            return QVD_PROPERTY_STATEMENTS("node_properties");
    }
    return QVD_PROPERTY_STATEMENTS("vm_properties");
#undef QVD_PROPERTY_STATEMENTS
}

// Locks the owner, so that a missing one is noticed also when nothing is inserted.
const char* existence_of(Owner owner) {
    switch (owner) {
        case Owner::user:
            return "SELECT FROM users WHERE id = $1::bigint";
        case Owner::vm:
            return "SELECT FROM vms WHERE id = $1::bigint";
        case Owner::osf:
            return "SELECT FROM osfs WHERE id = $1::bigint";
        case Owner::di:
            return "SELECT FROM dis WHERE id = $1::bigint";
        case Owner::node:
            return "SELECT FROM nodes WHERE id = $1::bigint";
    }
    return "SELECT FROM vms WHERE id = $1::bigint";
}

const char* constraint_of(Owner owner) {
    switch (owner) {
        case Owner::user:
            return "user_properties_owner_fkey";
        case Owner::vm:
            return "vm_properties_owner_fkey";
        case Owner::osf:
            return "osf_properties_owner_fkey";
        case Owner::di:
            return "di_properties_owner_fkey";
        case Owner::node:
            return "node_properties_owner_fkey";
    }
    return "vm_properties_owner_fkey";
}

}  // namespace

Async<std::map<std::string, std::string>> PostgresStore::configuration() {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT key, value FROM configs"));
    std::map<std::string, std::string> all;
    for (int i = 0; i < rows.size(); ++i) all.emplace(rows[i].text("key"), rows[i].text("value"));
    co_return all;
}

Async<void> PostgresStore::set_configuration(std::map<std::string, std::string> values) {
    std::vector<std::string> keys;
    std::vector<std::string> texts;
    for (const auto& [key, value] : values) {
        QVD_CO_CHECK(checks::configured(key, value));
        keys.push_back(key);
        texts.push_back(value);
    }
    if (keys.empty()) co_return Result<void>{};
    const std::string key_array = array_of(keys);
    const std::string value_array = array_of(texts);
    QVD_CO_CHECK(
        co_await ask("INSERT INTO configs SELECT * FROM unnest($1::text[], $2::text[]) "
                     "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                     key_array, value_array));
    co_return Result<void>{};
}

Async<int> PostgresStore::delete_configuration(std::vector<std::string> keys) {
    const std::string array = array_of(keys);
    QVD_CO_TRY(const Rows rows,
               co_await ask("DELETE FROM configs WHERE key = ANY($1::text[])", array));
    co_return rows.changed();
}

Async<std::optional<Certificate>> PostgresStore::certificate() {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT key, value FROM ssl_configs"));
    Certificate found;
    for (int i = 0; i < rows.size(); ++i) {
        const std::string key = rows[i].text("key");
        if (key == key_of_key) found.key = Secret(rows[i].text("value"));
        if (key == key_of_certificate) found.certificate = rows[i].text("value");
        if (key == key_of_ca) found.ca = rows[i].text("value");
        if (key == key_of_crl) found.crl = rows[i].text("value");
    }
    if (found.certificate.empty() || found.key.empty()) co_return std::optional<Certificate>{};
    co_return std::optional(std::move(found));
}

Async<void> PostgresStore::set_certificate(Certificate certificate) {
    std::vector<Statement> batch;
    batch.emplace_back("DELETE FROM ssl_configs");
    constexpr const char* insert = "INSERT INTO ssl_configs VALUES ($1, $2)";
    batch.emplace_back(insert, key_of_key, certificate.key);
    batch.emplace_back(insert, key_of_certificate, certificate.certificate);
    if (!certificate.ca.empty()) batch.emplace_back(insert, key_of_ca, certificate.ca);
    if (!certificate.crl.empty()) batch.emplace_back(insert, key_of_crl, certificate.crl);
    QVD_CO_CHECK(co_await pool_->run(std::move(batch)));
    co_return Result<void>{};
}

Async<Properties> PostgresStore::properties(Owner owner, std::int64_t id) {
    QVD_CO_TRY(const Rows rows, co_await ask(statements_of(owner).select, id));
    Properties all;
    for (int i = 0; i < rows.size(); ++i) all.emplace(rows[i].text("key"), rows[i].text("value"));
    co_return all;
}

Async<std::map<std::int64_t, Properties>> PostgresStore::all_properties(Owner owner) {
    QVD_CO_TRY(const Rows rows, co_await ask(statements_of(owner).select_all));
    std::map<std::int64_t, Properties> all;
    for (int i = 0; i < rows.size(); ++i)
        all[rows[i].integer("owner_id")].emplace(rows[i].text("key"), rows[i].text("value"));
    QVD_CO_CHECK(rows.check());
    co_return all;
}

Async<std::vector<std::string>> PostgresStore::property_values(std::string key) {
    QVD_CO_TRY(const Rows rows,
               co_await ask("SELECT value FROM osf_properties WHERE key = $1 UNION "
                            "SELECT value FROM di_properties WHERE key = $1 UNION "
                            "SELECT value FROM user_properties WHERE key = $1 UNION "
                            "SELECT value FROM vm_properties WHERE key = $1 ORDER BY value",
                            key));
    std::vector<std::string> values;
    values.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i) values.push_back(rows[i].text("value"));
    co_return values;
}

Async<void> PostgresStore::set_properties(
    Owner owner, std::int64_t id, std::map<std::string, std::optional<std::string>> values) {
    std::vector<std::string> keys;
    std::vector<std::string> texts;
    std::vector<std::string> removed;
    for (const auto& [key, value] : values) {
        QVD_CO_CHECK(checks::property(key, value ? *value : std::string{}));
        if (!value) {
            removed.push_back(key);
            continue;
        }
        keys.push_back(key);
        texts.push_back(*value);
    }
    const PropertyStatements statements = statements_of(owner);
    std::vector<Statement> batch;
    batch.emplace_back(existence_of(owner), id);
    if (!removed.empty()) batch.emplace_back(statements.remove, id, array_of(removed));
    if (!keys.empty()) batch.emplace_back(statements.insert, id, array_of(keys), array_of(texts));
    QVD_CO_TRY(const std::vector<Rows> rows, co_await pool_->run(std::move(batch)));
    if (rows.front().empty()) co_return answers::violated(constraint_of(owner));
    co_return Result<void>{};
}

Async<void> PostgresStore::audit(std::string who, std::string operation, std::string subject) {
    QVD_CO_CHECK(co_await ask("INSERT INTO audit (who, operation, subject) VALUES ($1, $2, $3)",
                              who, operation, subject));
    co_return Result<void>{};
}

Async<std::vector<AuditLine>> PostgresStore::audit_lines(int newest) {
    QVD_CO_TRY(const Rows rows, co_await ask("SELECT * FROM (SELECT id, at, who, operation, "
                                             "subject, db_role FROM audit ORDER BY id DESC LIMIT "
                                             "$1) AS newest ORDER BY id",
                                             newest));
    std::vector<AuditLine> lines;
    lines.reserve(static_cast<std::size_t>(rows.size()));
    for (int i = 0; i < rows.size(); ++i)
        lines.push_back({rows[i].integer("id"), rows[i].time("at"), rows[i].text("who"),
                         rows[i].text("operation"), rows[i].text("subject"),
                         rows[i].text("db_role")});
    QVD_CO_CHECK(rows.check());
    co_return lines;
}

}  // namespace qvd::store::postgres
