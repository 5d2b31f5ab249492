// The embedded cluster's life, and a store that loses and finds its database.
#include "base/file.hpp"
#include "bench.hpp"
#include "cluster.hpp"
#include "store/deploy.hpp"
#include "store/embedded/cluster_files.hpp"
#include "store/postgres.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace qvd;
using namespace qvd::store;
using State = EmbeddedCluster::Status::State;

namespace {

namespace fs = std::filesystem;

struct Cluster {
    Cluster() : cluster(test::place_of(view)) {}
    ~Cluster() {
        (void)cluster.stop();
        std::error_code ignored;
        fs::remove_all(folder, ignored);
    }
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    std::string ask(const std::string& statement) const {
        return test::sql(view, "qvd_owner", statement);
    }
    void must_run() {
        const auto running = cluster.ensure_running();
        if (!running.ok()) FAIL(running.error().sentence());
    }

    std::string folder = test::new_folder();
    config::View view = test::view_of(folder);
    EmbeddedCluster cluster;
};

// Waits for the processes that work in the cluster's data.
std::vector<pid_t> processes_of(const Cluster& cluster) {
    std::vector<pid_t> found;
    for (const auto& entry : fs::directory_iterator("/proc")) {
        std::error_code gone;
        if (fs::read_symlink(entry.path() / "cwd", gone) == cluster.folder + "/database")
            found.push_back(std::stoi(entry.path().filename()));
    }
    return found;
}

template <class Condition>
void wait_until(Condition condition) {
    bool is_so = condition();
    for (int i = 0; i < 3000 && !is_so; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        is_so = condition();
    }
    REQUIRE(is_so);
}

}  // namespace

TEST_CASE("an embedded database is made once, closed to everybody else, and survives every kill") {
    Cluster cluster;
    CHECK(cluster.cluster.status().state == State::absent);
    cluster.must_run();
    REQUIRE(cluster.cluster.status().state == State::running);
    CHECK(cluster.cluster.status().version.size() == 2);
    struct stat facts {};
    REQUIRE(::stat((cluster.folder + "/database").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777U) == 0700U);
    CHECK(cluster.ask("SHOW listen_addresses").empty());
    REQUIRE(deploy(cluster.view).ok());
    REQUIRE(cluster.ask("INSERT INTO users (login) VALUES ('kept')") == "ok");

    // The postmaster alone, with a backend left that is busy and does not notice.
    std::thread busy([&] { cluster.ask("SELECT pg_sleep(600)"); });
    wait_until([&] {
        return cluster.ask(
                   "SELECT count(*) FROM pg_stat_activity WHERE query = "
                   "'SELECT pg_sleep(600)'") == "1";
    });
    ::kill(cluster.cluster.status().pid, SIGKILL);
    cluster.must_run();
    busy.join();
    CHECK(cluster.ask("SELECT login FROM users") == "kept");

    // All at once, as when the machine dies.
    for (const pid_t pid : processes_of(cluster)) ::kill(pid, SIGKILL);
    wait_until([&] { return cluster.cluster.status().state == State::stopped; });
    cluster.must_run();
    CHECK(cluster.ask("SELECT login FROM users") == "kept");

    // One backend: the server restarts its others by itself.
    for (const pid_t pid : processes_of(cluster))
        if (pid != cluster.cluster.status().pid) {
            ::kill(pid, SIGKILL);
            break;
        }
    wait_until([&] { return cluster.ask("SELECT login FROM users") == "kept"; });

    // A pid file that names a process that is somebody else's by now.
    REQUIRE(cluster.cluster.stop().ok());
    CHECK(cluster.cluster.status().state == State::stopped);
    std::ofstream(cluster.folder + "/database/postmaster.pid") << "1\n"
                                                               << cluster.folder << "/database\n";
    cluster.must_run();
    CHECK(cluster.ask("SELECT login FROM users") == "kept");
    REQUIRE(cluster.cluster.stop().ok());
    REQUIRE(cluster.cluster.stop().ok());
}

TEST_CASE("whoever works in the database's folder, and is no server, is left alone") {
    Cluster cluster;
    cluster.must_run();
    CHECK(cluster.cluster.is_there());
    REQUIRE(cluster.cluster.stop().ok());
    CHECK_FALSE(cluster.cluster.is_there());
    const pid_t visitor = ::fork();
    if (visitor == 0) {
        ::execl("/bin/sh", "sh", "-c", "cd \"$0\" && exec sleep 600",
                (cluster.folder + "/database").c_str(), nullptr);
        ::_exit(127);
    }
    wait_until([&] { return processes_of(cluster) == std::vector<pid_t>{visitor}; });
    cluster.must_run();
    CHECK(::waitpid(visitor, nullptr, WNOHANG) == 0);
    REQUIRE(cluster.cluster.stop().ok());
    CHECK(::waitpid(visitor, nullptr, WNOHANG) == 0);
    ::kill(visitor, SIGKILL);
    ::waitpid(visitor, nullptr, 0);
}

TEST_CASE("several starters at once make and start one server") {
    Cluster cluster;
    std::vector<std::thread> threads;
    std::vector<std::string> answers(3);
    for (std::string& answer : answers)
        threads.emplace_back([&] {
            EmbeddedCluster mine(test::place_of(cluster.view));
            const auto running = mine.ensure_running();
            answer = running.ok() ? "runs" : running.error().sentence();
        });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& answer : answers) CHECK(answer == "runs");
    CHECK(cluster.cluster.status().state == State::running);
}

TEST_CASE("what stands in the way of an embedded database is said") {
    Cluster cluster;
    EmbeddedPlace place = test::place_of(cluster.view);
    place.os_user = "nobody-like-that";
    auto refused = EmbeddedCluster(place).ensure_running();
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "database.user");
    CHECK(refused.error().sentence().find("nobody-like-that") != std::string::npos);
    place = test::place_of(cluster.view);
    place.sockets = cluster.folder + std::string(100, 'x');
    refused = EmbeddedCluster(place).ensure_running();
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "database.path");
}

TEST_CASE("an embedded database is durable and reachable by its socket only") {
    const Cluster cluster;
    fs::create_directories(cluster.folder + "/database");
    EmbeddedPlace place = test::place_of(cluster.view);
    place.durable = true;
    REQUIRE(embedded::write_configuration(place, place.data).ok());
    const auto text = file::read(place.data + "/postgresql.conf");
    REQUIRE(text.ok());
    CHECK(text->find("\nfsync = on\n") != std::string::npos);
    CHECK(text->find("\nlisten_addresses = ''\n") != std::string::npos);
}

TEST_CASE("a cluster of a server that is not installed is not touched") {
    Cluster cluster;
    fs::create_directories(cluster.folder + "/database");
    std::ofstream(cluster.folder + "/database/PG_VERSION") << "9\n";
    const auto refused = cluster.cluster.ensure_running();
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().code() == "database.server");
    CHECK(refused.error().sentence().find("postgresql-9") != std::string::npos);
}

TEST_CASE("a store says that the database is down, and finds it again") {
    Cluster cluster;
    boost::asio::io_context loop;
    auto store = open_postgres(loop.get_executor(), cluster.view, Role::owner).value();
    int everything = 0;
    const auto token = store->listen([&](const Announcement& announcement) {
        everything += announcement.what == Announcement::What::everything ? 1 : 0;
    });
    const auto users = [&] { return test::code_on(loop, store->users()); };
    const auto eventually = [&](const auto& condition) {
        for (int i = 0; i < 200 && !condition(); ++i)
            loop.run_one_for(std::chrono::milliseconds(50));
        CHECK(condition());
    };
    CHECK(users() == "store.down");
    cluster.must_run();
    REQUIRE(deploy(cluster.view).ok());
    eventually([&] { return users() == "ok"; });
    eventually([&] { return everything == 1; });
    ::kill(cluster.cluster.status().pid, SIGKILL);
    wait_until([&] { return cluster.cluster.status().state == State::stopped; });
    // Its backends notice a moment later.
    eventually([&] { return users() == "store.down"; });
    cluster.must_run();
    eventually([&] { return users() == "ok"; });
    eventually([&] { return everything == 2; });
}

TEST_CASE("a call that takes too long ends in time, and the next one works") {
    const config::View view =
        test::view_of(fs::path(test::shared_view().text("path.run").value()).parent_path().string(),
                      "internal.database.timeout = 400\n");
    boost::asio::io_context loop;
    auto store = open_postgres(loop.get_executor(), view, Role::owner).value();
    const auto code_of_users = [&] { return test::code_on(loop, store->users()); };
    CHECK(code_of_users() == "ok");
    std::thread locker([] {
        test::sql(test::shared_view(), "qvd_owner",
                  "LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.5)");
    });
    wait_until([] {
        return test::sql(test::shared_view(), "qvd_owner",
                         "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND "
                         "relation = 'users'::regclass") == "1";
    });
    const auto began = std::chrono::steady_clock::now();
    CHECK(code_of_users() == "store.timeout");
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(1200));
    locker.join();
    CHECK(code_of_users() == "ok");
}
