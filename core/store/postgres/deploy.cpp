#include "store/deploy.hpp"

#include "base/text.hpp"
#include "config/keys.hpp"
#include "store/answers.hpp"
#include "store/postgres/blocking.hpp"
#include "store/postgres/migrations.hpp"

#include <array>

namespace qvd::store {

namespace {

using postgres::Access;
using postgres::BlockingConnection;
using postgres::Rows;
using postgres::Statement;

// Migrations may take longer than a broker's question.
constexpr std::chrono::minutes patience{10};

Result<BlockingConnection> connect(Access& access) {
    access.timeout = patience;
    return BlockingConnection::open(access);
}

Result<int> version_of(const BlockingConnection& connection) {
    QVD_TRY(const Rows there,
            connection.ask(Statement("SELECT to_regclass('qvd.versions') IS NOT NULL AS yes")));
    if (!there[0].flag("yes")) return 0;
    QVD_TRY(
        const Rows rows,
        connection.ask(Statement("SELECT version FROM qvd.versions WHERE component = 'schema'")));
    const int version = rows.empty() ? 0 : rows[0].small("version");
    QVD_CHECK(rows.check());
    return version;
}

std::string counted(std::int64_t number, const char* one, const char* many) {
    return std::to_string(number) + " " + (number == 1 ? one : many);
}

Result<std::string> contents_of(const BlockingConnection& connection) {
    QVD_TRY(const Rows rows,
            connection.ask(Statement(
                "SELECT (SELECT count(*) FROM qvd.users) AS users, (SELECT count(*) FROM qvd.vms) "
                "AS vms, (SELECT count(*) FROM qvd.nodes) AS nodes, (SELECT count(*) FROM "
                "qvd.osfs) AS osfs, (SELECT count(*) FROM qvd.dis) AS dis, (SELECT count(*) FROM "
                "qvd.configs) AS configs")));
    const postgres::Row row = rows[0];
    std::vector<std::string> parts;
    const auto part = [&](const char* column, const char* one, const char* many) {
        const std::int64_t number = row.integer(column);
        if (number > 0) parts.push_back(counted(number, one, many));
    };
    part("users", "user", "users");
    part("vms", "virtual machine", "virtual machines");
    part("nodes", "host", "hosts");
    part("osfs", "osf", "osfs");
    part("dis", "image", "images");
    part("configs", "configuration key", "configuration keys");
    return text::join(parts, ", ");
}

Error newer(int version) {
    return {ErrorKind::unavailable, "store.schema_newer",
            "the database has schema version " + std::to_string(version) +
                " and this qvd-deploy-db knows versions up to " + std::to_string(schema_version()) +
                ": a newer release of QVD made it; use that release"};
}

// The database itself stays: in a farm somebody else made it.
Result<void> drop_schema(const BlockingConnection& connection, Deployment& deployment) {
    QVD_CHECK(connection.script("DROP SCHEMA IF EXISTS qvd CASCADE"));
    deployment.done.emplace_back("dropped the schema qvd and all that was in it");
    return {};
}

Result<void> migrate(const BlockingConnection& connection, int version, Deployment& deployment) {
    if (version == 0) QVD_CHECK(connection.script("CREATE SCHEMA IF NOT EXISTS qvd"));
    for (const postgres::Migration& migration : postgres::migrations) {
        if (migration.version <= version) continue;
        const auto run = connection.script(migration.sql);
        if (!run.ok())
            return Error{
                ErrorKind::internal, "store.deploy",
                std::string("migration ") + migration.name + ": " + run.error().sentence()};
        QVD_CHECK(connection.ask(Statement(
            "INSERT INTO qvd.versions (component, version) VALUES ('schema', $1) ON "
            "CONFLICT (component) DO UPDATE SET version = excluded.version, since = now()",
            migration.version)));
        deployment.done.push_back(std::string("migrated to schema version ") +
                                  std::to_string(migration.version) + " (" + migration.name + ")");
    }
    if (deployment.done.empty())
        deployment.done.push_back("the schema is version " + std::to_string(version) +
                                  " already, nothing to migrate");
    return {};
}

Result<bool> role_exists(const BlockingConnection& connection, const std::string& role) {
    QVD_TRY(const Rows rows,
            connection.ask(Statement("SELECT FROM pg_roles WHERE rolname = $1", role)));
    return !rows.empty();
}

// The two roles that rights are granted to; false if they are missing and may not be made.
Result<bool> have_roles(const BlockingConnection& connection, Deployment& deployment) {
    for (const std::string role : {"qvd_hkd", "qvd_broker"}) {
        QVD_TRY(const bool there, role_exists(connection, role));
        if (there) continue;
        QVD_TRY(const Rows may,
                connection.ask(Statement("SELECT rolsuper OR rolcreaterole AS yes FROM pg_roles "
                                         "WHERE rolname = current_user")));
        if (!may[0].flag("yes")) {
            deployment.warnings.emplace_back(
                "the roles qvd_hkd and qvd_broker do not exist and this account may not make them: "
                "hkd and broker share the owner's account; have the database's administrator run "
                "CREATE ROLE qvd_hkd; CREATE ROLE qvd_broker; and deploy again");
            return false;
        }
        QVD_CHECK(connection.script(("CREATE ROLE " + role + " NOLOGIN").c_str()));
        deployment.done.push_back("made the role " + role);
    }
    return true;
}

// A farm's own accounts for hkd and broker become members of the roles.
Result<void> admit_account(const BlockingConnection& connection, const std::string& account,
                           const std::string& role, Deployment& deployment) {
    if (account.empty() || account == role) return {};
    QVD_TRY(const bool there, role_exists(connection, account));
    if (!there) {
        deployment.warnings.push_back("the account \"" + account +
                                      "\" does not exist on the server: have it made, then deploy "
                                      "again");
        return {};
    }
    QVD_CHECK(
        connection.script(("GRANT " + role + " TO " + connection.quoted_name(account)).c_str()));
    deployment.done.push_back("the account \"" + account + "\" has the rights of " + role);
    return {};
}

Result<void> grant(const BlockingConnection& connection, const config::View& view,
                   const Access& access, Deployment& deployment) {
    QVD_TRY(const bool roles, have_roles(connection, deployment));
    if (!roles) return {};
    const auto granted = connection.script(postgres::grants_sql);
    if (!granted.ok())
        return Error{ErrorKind::internal, "store.deploy",
                     "granting rights: " + granted.error().sentence()};
    deployment.done.emplace_back("granted hkd and broker their rights");
    if (access.embedded) return {};
    QVD_CHECK(admit_account(connection, view.find(config::database_hkd_user).value_or(""),
                            "qvd_hkd", deployment));
    return admit_account(connection, view.find(config::database_broker_user).value_or(""),
                         "qvd_broker", deployment);
}

Result<void> deploy_in_transaction(const BlockingConnection& connection, const config::View& view,
                                   const Access& access, bool drop, Deployment& deployment) {
    // Whoever else deploys waits here, and finds everything done.
    QVD_CHECK(connection.script("SET LOCAL lock_timeout = '2min'"));
    QVD_CHECK(connection.script("SELECT pg_advisory_xact_lock(713000, 0)"));
    if (drop) QVD_CHECK(drop_schema(connection, deployment));
    QVD_TRY(const int version, version_of(connection));
    if (version > schema_version()) return newer(version);
    QVD_CHECK(migrate(connection, version, deployment));
    return grant(connection, view, access, deployment);
}

}  // namespace

int schema_version() {
    return postgres::migrations.back().version;
}

Result<SchemaState> schema_state(const config::View& view) {
    Access access = Access::of(view, Role::owner);
    QVD_TRY(const BlockingConnection connection, connect(access));
    SchemaState state{access.where(), 0, {}};
    QVD_TRY(state.version, version_of(connection));
    if (state.version > 0 && state.version <= schema_version()) {
        QVD_TRY(state.contents, contents_of(connection));
    }
    return state;
}

Result<Deployment> deploy(const config::View& view, bool drop) {
    Access access = Access::of(view, Role::owner);
    QVD_TRY(const BlockingConnection connection, connect(access));
    Deployment deployment;
    QVD_CHECK(connection.script("BEGIN"));
    const auto done = deploy_in_transaction(connection, view, access, drop, deployment);
    if (!done.ok()) {
        // The connection ends with this function, and the transaction with it.
        return done.error();
    }
    QVD_CHECK(connection.script("COMMIT"));
    // Whoever asks with psql sees the tables; an owner of the schema alone may not set that.
    const std::string path = "ALTER DATABASE " + connection.quoted_name(access.database) +
                             " SET search_path = qvd, public";
    if (!connection.script(path.c_str()).ok())
        deployment.warnings.emplace_back(
            "the database's search_path stays as it is: this account does not own the database");
    return deployment;
}

}  // namespace qvd::store
