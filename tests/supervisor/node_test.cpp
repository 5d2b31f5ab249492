// The supervisor as a process, with processes as roles.
#include "tests/supervisor/node_rig.hpp"

using namespace qvd;
using namespace qvd::supervisor;
using namespace qvd::supervisor::test;

TEST_CASE("a node comes up, serves clients, and stops in order") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const UniqueFd client = connect_to(node.port);
    REQUIRE(client);
    CHECK(say(client, "who").starts_with("l7r-0-"));
    CHECK(node.ask("dance").error().code() == "node.refused");
    CHECK(node.ask("stop").value() == "stopped\n");
    CHECK(node.ended() == 0);
    CHECK(node.events().find("l7r-0") < node.events().find("draining"));
    CHECK_FALSE(std::filesystem::exists(node.scratch.path("qvd-node.pid")));
    CHECK_FALSE(std::filesystem::exists(node.scratch.path("supervisor.sock")));
}

TEST_CASE("stop with VMs lets hkd evacuate first") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    CHECK(node.ask("stop vms").ok());
    CHECK(node.ended() == 0);
    CHECK(node.events().find("evacuated") != std::string::npos);
}

TEST_CASE("SIGTERM stops the node too") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    ::kill(node.pid, SIGTERM);
    CHECK(node.ended() == 0);
    CHECK(node.events().find("evacuated") == std::string::npos);
}

TEST_CASE("each role that is killed is back within a second") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    for (const std::string role : {"hkd", "broker", "l7r"}) {
        const pid_t before = node.pid_of(role);
        REQUIRE(before > 1);
        ::kill(before, SIGKILL);
        CHECK_MESSAGE(eventually(
                          [&] {
                              return node.pid_of(role) > 1 && node.pid_of(role) != before &&
                                     node.running();
                          },
                          Seconds{1}),
                      role);
    }
}

TEST_CASE("a worker that hangs is killed and another one serves") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const pid_t before = node.pid_of("l7r");
    const UniqueFd client = connect_to(node.port);
    REQUIRE(client);
    REQUIRE(::send(client.get(), "hang", 4, 0) == 4);
    CHECK(eventually([&] { return node.pid_of("l7r") != before && node.running(); }));
    CHECK(node.log().find("event=role.silent role=l7r") != std::string::npos);
}

TEST_CASE("a role with a stuck call is killed") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const pid_t before = node.pid_of("broker");
    node.write("stuck.broker", "");
    CHECK(eventually([&] { return node.pid_of("broker") != before; }));
    CHECK(node.log().find("event=role.stuck role=broker") != std::string::npos);
}

TEST_CASE("a role that dies at once again and again is started ever more slowly") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    node.write("die.hkd", "");
    ::kill(node.pid_of("hkd"), SIGKILL);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(eventually(
        [&] { return node.status().find("hkd was started anew 5 times") != std::string::npos; }));
    // 100, 200, 400 and 800 ms lie between five deaths.
    CHECK(std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(1400));
    node.remove("die.hkd");
    CHECK(eventually([&] { return node.running(); }));
}

TEST_CASE(
    "a reload keeps pid and sockets, replaces everybody, and a client of the old worker stays") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const auto old_workers = node.roles("l7r");
    const pid_t old_broker = node.pid_of("broker");
    const pid_t old_hkd = node.pid_of("hkd");
    const UniqueFd client = connect_to(node.port);
    const std::string old_worker = say(client, "who");
    REQUIRE(old_worker.starts_with("l7r-0-"));

    CHECK(node.ask("reload").value() == "reloaded\n");
    CHECK(eventually([&] {
        return node.pid_of("broker") != old_broker && node.pid_of("hkd") != old_hkd &&
               node.roles("l7r").size() == 2 && node.roles("broker").size() == 1 &&
               node.roles("l7r")[0].state == "leaving,";
    }));
    CHECK(say(client, "who") == old_worker);
    const UniqueFd second = connect_to(node.port);
    const std::string new_worker = say(second, "who");
    CHECK(new_worker.starts_with("l7r-0-"));
    CHECK(new_worker != old_worker);
    CHECK(node.status().find("pid " + std::to_string(node.pid)) != std::string::npos);
    CHECK(node.status().find(": replacing") != std::string::npos);

    ::shutdown(client.get(), SHUT_RDWR);
    CHECK(eventually([&] { return node.running() && node.roles("l7r").size() == 1; }));
    CHECK_FALSE(is_alive(old_workers[0].pid));
    ::shutdown(second.get(), SHUT_RDWR);
    CHECK(node.ask("stop").ok());
    CHECK(node.ended() == 0);
}

TEST_CASE("no connection is refused while the node reloads") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const auto reloaded = [&] {
        return node.log().find("node.reloaded") != std::string::npos && node.running();
    };
    ::kill(node.pid, SIGHUP);
    bool refused = false;
    CHECK(eventually([&] {
        const UniqueFd client = connect_to(node.port);
        refused = refused || !client || !say(client, "who").starts_with("l7r-0-");
        return refused || reloaded();
    }));
    CHECK_FALSE(refused);
}

TEST_CASE("a reload that its check refuses changes nothing and says why") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const pid_t broker = node.pid_of("broker");
    node.write("bad", "");
    const auto refused = node.ask("reload");
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().sentence().find("there is a file named bad") != std::string::npos);
    CHECK(node.pid_of("broker") == broker);
    node.remove("bad");
    CHECK(node.ask("reload").ok());
}

TEST_CASE("old workers go on until the new ones are ready") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    node.write("lame.l7r", "");
    CHECK(node.ask("reload").ok());
    CHECK(eventually([&] {
        const auto workers = node.roles("l7r");
        return workers.size() == 2 && workers[0].state == "ready," &&
               node.roles("broker").size() == 2;
    }));
    node.remove("lame.l7r");
    CHECK(eventually([&] { return node.running() && node.roles("l7r").size() == 1; }));
}

TEST_CASE("when the supervisor is killed sessions live, roles end, and a new one takes over") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const pid_t broker = node.pid_of("broker");
    const pid_t hkd = node.pid_of("hkd");
    const UniqueFd client = connect_to(node.port);
    const std::string old_worker = say(client, "who");
    REQUIRE(old_worker.starts_with("l7r-0-"));
    ::kill(node.pid, SIGKILL);
    CHECK(WTERMSIG(node.ended()) == SIGKILL);
    node.start();
    CHECK(eventually([&] { return node.running(); }));
    CHECK(say(client, "who") == old_worker);
    const UniqueFd second = connect_to(node.port);
    CHECK(say(second, "who") != old_worker);
    // The old worker has a supervisor and a broker again, which so learns of its sessions.
    CHECK(eventually([&] { return node.roles("l7r").size() == 2; }));
    CHECK(node.status().find("leaving, holds 1") != std::string::npos);
    const std::string linked = old_worker + " linked to ";
    CHECK(node.events().find(linked) != node.events().rfind(linked));
    CHECK(eventually([&] {
        ::waitpid(broker, nullptr, WNOHANG);
        ::waitpid(hkd, nullptr, WNOHANG);
        return !is_alive(broker) && !is_alive(hkd);
    }));
}

TEST_CASE("a worker outlives two supervisors and a reload, and is let go when it is done") {
    Node node;
    UniqueFd client;
    std::string old_worker;
    for (int i = 0; i < 2; ++i) {
        REQUIRE(eventually([&] { return node.running(); }));
        if (i == 0) {
            client = connect_to(node.port);
            old_worker = say(client, "who");
        }
        ::kill(node.pid, SIGKILL);
        node.ended();
        node.start();
    }
    REQUIRE(eventually([&] { return node.running() && node.roles("l7r").size() == 2; }));
    CHECK(node.ask("reload").ok());
    CHECK(say(client, "who") == old_worker);
    ::shutdown(client.get(), SHUT_RDWR);
    CHECK(eventually([&] {
        while (::waitpid(-1, nullptr, WNOHANG) > 0) continue;
        return node.running() && node.roles("l7r").size() == 1;
    }));
    CHECK_FALSE(std::filesystem::exists(node.scratch.path("l7r/" + old_worker)));
    CHECK(node.ask("stop").ok());
    CHECK(node.ended() == 0);
    CHECK_FALSE(std::filesystem::exists(node.scratch.path("l7r")));
}

TEST_CASE("roles of a killed supervisor that do not end by themselves are ended by the next") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const pid_t hkd = node.pid_of("hkd");
    ::kill(hkd, SIGSTOP);
    ::kill(node.pid, SIGKILL);
    node.ended();
    node.start();
    CHECK(eventually([&] { return node.running(); }));
    CHECK(eventually([&] { return ::waitpid(hkd, nullptr, WNOHANG) == hkd || !is_alive(hkd); }));
    CHECK(node.log().find("event=node.leftover") != std::string::npos);
}

TEST_CASE("a second node in the same place is refused") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const pid_t second = run_program({FAKE_NODE, node.scratch.folder()},
                                     UniqueFd{::open(node.scratch.path("second").c_str(),
                                                     O_WRONLY | O_CREAT | O_CLOEXEC, 0644)}
                                         .get())
                             .value();
    int wait_status = 0;
    REQUIRE(::waitpid(second, &wait_status, 0) == second);
    CHECK(WEXITSTATUS(wait_status) == 1);
    CHECK(file::read(node.scratch.path("second")).value().find("runs already") !=
          std::string::npos);
    CHECK(node.running());
}

TEST_CASE("a port that is taken is tried again until it is free") {
    Node node({}, false);
    UniqueFd occupant{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(node.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(occupant.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(occupant.get(), 1) == 0);
    node.start();
    CHECK(eventually([&] { return node.status().find("in use") != std::string::npos; }));
    occupant.reset();
    CHECK(eventually([&] { return say(connect_to(node.port), "who").starts_with("l7r-0-"); }));
}

TEST_CASE("the broker can move the port to what the database says") {
    Node node;
    REQUIRE(eventually([&] { return node.running(); }));
    const std::uint16_t other = free_port();
    node.write("port", std::to_string(other));
    CHECK(eventually([&] { return say(connect_to(other), "who").starts_with("l7r-0-"); }));
    CHECK(node.status().find(":" + std::to_string(other)) != std::string::npos);
}

TEST_CASE("broker and hkd wait for the database and it is stopped last") {
    Node node({}, false);
    node.write("with_database", "");
    node.write("lame.database", "");
    node.start();
    REQUIRE(eventually([&] { return node.roles("database").size() == 1; }));
    CHECK(node.roles("broker").empty());
    node.remove("lame.database");
    REQUIRE(eventually([&] { return node.running() && node.roles("broker").size() == 1; }));
    CHECK(node.ask("stop").ok());
    CHECK(node.ended() == 0);
    const std::string events = node.events();
    CHECK(events.rfind("database-0") > events.rfind("broker-0"));
}
