#include "cluster.hpp"

#include "config/keys.hpp"
#include "store/deploy.hpp"
#include "store/keys.hpp"

#include <libpq-fe.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>

namespace qvd::store::test {

namespace {

[[noreturn]] void skip(const char* reason) {
    std::printf("skipped: %s\n", reason);
    std::fflush(stdout);
    std::_Exit(77);
}

// Before any test runs: a machine that cannot do it must not look as if it had.
const bool able = [] {
    if (::geteuid() != 0) skip("starting a PostgreSQL cluster as another user needs root");
    if (os_user().empty()) skip("there is neither a user qvd-db nor postgres");
    if (!std::filesystem::exists("/usr/lib/postgresql")) skip("no PostgreSQL server is installed");
    return true;
}();

struct SharedCluster {
    SharedCluster() : folder(new_folder()), view(view_of(folder)), cluster(place_of(view)) {
        const auto running = cluster.ensure_running();
        if (!running.ok()) throw std::runtime_error(running.error().sentence());
        const auto deployed = deploy(view);
        if (!deployed.ok()) throw std::runtime_error(deployed.error().sentence());
    }
    ~SharedCluster() {
        (void)cluster.stop();
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    SharedCluster(const SharedCluster&) = delete;
    SharedCluster& operator=(const SharedCluster&) = delete;

    std::string folder;
    config::View view;
    EmbeddedCluster cluster;
};

}  // namespace

std::string os_user() {
    for (const char* const name : {"qvd-db", "postgres"})
        if (::getpwnam(name) != nullptr) return name;
    return {};
}

std::string new_folder() {
    std::string name = "/tmp/qvd-store-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder in /tmp");
    ::chmod(name.c_str(), 0755);
    return name;
}

config::View view_of(const std::string& folder, const std::string& more) {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    store::declare(*keys);
    const std::string text = "path.run = " + folder + "/run\npath.log = " + folder +
                             "/log\npath.database = " + folder +
                             "/database\ninternal.database.os_user = " + os_user() + "\n" + more;
    return {keys, config::Properties::parse(text, "test.conf").value()};
}

EmbeddedPlace place_of(const config::View& view) {
    EmbeddedPlace place = embedded_place(view).value();
    place.more_peers = {{"root", "qvd_broker"}, {"root", "qvd_db"}};
    place.durable = false;
    return place;
}

const config::View& shared_view() {
    static const SharedCluster shared;
    return shared.view;
}

void empty_shared() {
    const std::string wiped =
        sql(shared_view(), "qvd_owner",
            "DELETE FROM sessions; DELETE FROM vms; DELETE FROM users; DELETE FROM dis; "
            "DELETE FROM osfs; DELETE FROM nodes; DELETE FROM configs; DELETE FROM ssl_configs; "
            "DELETE FROM operators");
    if (wiped != "ok") throw std::runtime_error("the shared database was not emptied: " + wiped);
}

std::string sql(const config::View& view, const std::string& role, const std::string& statement) {
    const std::string sockets = view.get(config::path_run) + "/database";
    const std::array<const char*, 5> keys{"host", "dbname", "user", "options", nullptr};
    const std::array<const char*, 5> values{sockets.c_str(), "qvd", role.c_str(),
                                            "-c search_path=qvd -c client_min_messages=warning",
                                            nullptr};
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(
        PQconnectdbParams(keys.data(), values.data(), 0), &PQfinish);
    if (PQstatus(connection.get()) != CONNECTION_OK) return PQerrorMessage(connection.get());
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(
        PQexec(connection.get(), statement.c_str()), &PQclear);
    const char* const state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    if (state != nullptr) return state;
    return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "ok";
}

}  // namespace qvd::store::test
