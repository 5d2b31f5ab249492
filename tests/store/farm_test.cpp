// A farm's own PostgreSQL: reached by TCP, with accounts and passwords, as manual 2.3 has it.
#include "await.hpp"
#include "cluster.hpp"
#include "store/deploy.hpp"
#include "store/embedded/server.hpp"
#include "store/postgres.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

using namespace qvd;
using namespace qvd::store;
using test::code_on;
using test::run_on;

namespace {

constexpr const char* hkd_password = "hkd-secret";
constexpr const char* broker_password = "broker-secret";

int free_port() {
    const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket.get(), raw, length) != 0 || ::getsockname(socket.get(), raw, &length) != 0)
        throw std::runtime_error("no free port");
    return ntohs(address.sin_port);
}

// What an administrator of databases sets up before QVD comes.
class FarmServer {
public:
    FarmServer() : folder_(test::new_folder()), port_(free_port()) {
        const auto programs = embedded::find_server("");
        if (!programs.ok()) throw std::runtime_error(programs.error().sentence());
        programs_ = *programs;
        write("accounts.sql",
              "CREATE ROLE qvd LOGIN CREATEROLE PASSWORD 'owner''s \"secret\" \\ 1';\n"
              "CREATE ROLE farm_hkd LOGIN PASSWORD 'hkd-secret';\n"
              "CREATE ROLE farm_broker LOGIN PASSWORD 'broker-secret';\n"
              "CREATE DATABASE qvd OWNER qvd;\n");
        write("password", "superuser\n");
        run("initdb -D " + data() + " -U postgres -A scram-sha-256 --pwfile=" + folder_ +
            "/password --no-sync");
        run("pg_ctl -D " + data() + " -l " + folder_ + "/server.log -w -o '-h 127.0.0.1 -p " +
            std::to_string(port_) + " -k " + folder_ + " -c fsync=off' start");
        run("psql -v ON_ERROR_STOP=1 -q -h " + folder_ + " -p " + std::to_string(port_) +
            " -U postgres -f " + folder_ + "/accounts.sql");
    }
    ~FarmServer() {
        try {
            run("pg_ctl -D " + data() + " -m immediate stop");
        } catch (const std::exception&) {
            std::terminate();  // a server left behind
        }
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }
    FarmServer(const FarmServer&) = delete;
    FarmServer& operator=(const FarmServer&) = delete;

    // A node's file; `more` may say something else.
    [[nodiscard]] config::View view(const std::string& more = "",
                                    const std::string& host = "127.0.0.1") const {
        return test::view_of(folder_, "database.host = " + host +
                                          "\ndatabase.port = " + std::to_string(port_) +
                                          "\ndatabase.user = qvd\ndatabase.password = " +
                                          "owner's \"secret\" \\\\ 1\n" + more);
    }

private:
    [[nodiscard]] std::string data() const { return folder_ + "/data"; }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(folder_ + "/" + name) << text;
    }
    void run(const std::string& command) const {
        const std::string line = "cd / && chown -R " + test::os_user() + " " + folder_ +
                                 " && PGPASSWORD=superuser setpriv --reuid=" + test::os_user() +
                                 " --clear-groups " + programs_ + "/" + command + " >>" + folder_ +
                                 "/setup.log 2>&1";
        if (std::system(line.c_str()) != 0) throw std::runtime_error("failed: " + command);
    }

    std::string folder_;
    std::string programs_;
    int port_;
};

const FarmServer& farm() {
    static const FarmServer server;
    return server;
}

// hkd and broker with accounts of their own.
std::string own_accounts() {
    return std::string("database.hkd.user = farm_hkd\ndatabase.hkd.password = ") + hkd_password +
           "\ndatabase.broker.user = farm_broker\ndatabase.broker.password = " + broker_password +
           "\n";
}

std::unique_ptr<Store> open(boost::asio::io_context& loop, const config::View& view, Role role) {
    auto store = open_postgres(loop.get_executor(), view, role);
    REQUIRE(store.ok());
    return std::move(store).value();
}

}  // namespace

TEST_CASE("a farm's database is deployed and used by TCP with passwords") {
    const auto deployed = deploy(farm().view(own_accounts()), true);
    REQUIRE(deployed.ok());
    CHECK(deployed->warnings.empty());
    boost::asio::io_context loop;
    const auto owner = open(loop, farm().view(), Role::owner);
    CHECK(code_on(loop, owner->add_user("alice", std::nullopt)) == "ok");
    const auto broker = open(loop, farm().view(own_accounts()), Role::broker);
    CHECK(run_on(loop, broker->user("alice")).value().has_value());
    const auto hkd = open(loop, farm().view(own_accounts()), Role::hkd);
    CHECK(run_on(loop, hkd->configuration()).ok());
}

TEST_CASE("the farm's accounts for hkd and broker have their roles' rights only") {
    REQUIRE(deploy(farm().view(own_accounts()), true).ok());
    boost::asio::io_context loop;
    const auto broker = open(loop, farm().view(own_accounts()), Role::broker);
    CHECK(code_on(loop, broker->add_node("n1", "10.0.0.1")) == "store.denied");
    const auto hkd = open(loop, farm().view(own_accounts()), Role::hkd);
    CHECK(code_on(loop, hkd->add_user("eve", std::nullopt)) == "store.denied");
}

TEST_CASE("a wrong password is told without telling it") {
    const auto refused = schema_state(farm().view("database.password = wrong-guess\n"));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "store.denied");
    CHECK(refused.error().sentence().find("wrong-guess") == std::string::npos);
    CHECK(refused.error().sentence().find("127.0.0.1") != std::string::npos);
    boost::asio::io_context loop;
    const auto store = open(loop, farm().view("database.password = wrong-guess\n"), Role::owner);
    const auto asked = run_on(loop, store->users());
    REQUIRE_FALSE(asked.ok());
    CHECK(asked.error().sentence().find("wrong-guess") == std::string::npos);
    CHECK(asked.error().sentence().find("password") != std::string::npos);
}

TEST_CASE("of several hosts the first that answers is used") {
    REQUIRE(deploy(farm().view("", "127.0.0.2, 127.0.0.1"), true).ok());
    boost::asio::io_context loop;
    const auto store = open(loop, farm().view("", "127.0.0.2, 127.0.0.1"), Role::owner);
    CHECK(code_on(loop, store->users()) == "ok");
}

TEST_CASE("a host where nothing listens, or whose name nobody knows, is told by its name") {
    boost::asio::io_context loop;
    const auto silent = open(loop, farm().view("", "127.0.0.2"), Role::owner);
    const auto refused = run_on(loop, silent->users());
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "store.down");
    CHECK(refused.error().sentence().find("127.0.0.2") != std::string::npos);
    const auto unknown = open(loop, farm().view("", "database.invalid"), Role::owner);
    const auto lost = run_on(loop, unknown->users());
    REQUIRE_FALSE(lost.ok());
    CHECK(lost.error().sentence().find("database.invalid") != std::string::npos);
}
