// The real program against a real TLS server.
#include "tests/client/program.hpp"
#include "tests/client/test_server.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <sstream>

using namespace qvd::testing;

namespace {

const std::string one_vm = R"([{"id": 7, "name": "desk", "state": "stopped", "blocked": 0}])";
const std::string list_reply = http_reply(200, one_vm);

// Answers list_of_vm with `list`, everything else with `answer`.
TestServer::Conversation talk(const std::string& list,
                              const std::function<void(Peer&, const std::string&)>& answer = {}) {
    return [list, answer](Peer& peer) {
        for (std::string head = peer.request(); !head.empty(); head = peer.request()) {
            if (head.starts_with("GET /qvd/list_of_vm "))
                peer.record(list);
            else if (answer)
                answer(peer, head);
        }
    };
}

struct Rig {
    explicit Rig(const std::string& list = list_reply,
                 const std::function<void(Peer&, const std::string&)>& answer = {},
                 const Identity& identity = make_identity("localhost")) {
        server = std::make_unique<TestServer>(identity, talk(list, answer));
    }

    Outcome run(std::vector<std::string> arguments, Program::Environment environment = {}) {
        const std::vector<std::string> where{
            "-h", "localhost", "-p", std::to_string(server->port()), "-u", "bob"};
        arguments.insert(arguments.end(), where.begin(), where.end());
        environment.emplace("QVDPASSWORD", "secret");
        Program program{home, arguments, environment};
        program.close_input();
        return program.finish();
    }

    Home home;
    std::unique_ptr<TestServer> server;
};

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("-l lists the machines, and the credentials go as Basic") {
    Rig rig;
    const Outcome outcome = rig.run({"-l", "-n"});
    CHECK(outcome.exit_code == 0);
    CHECK(contains(outcome.out, "7       stopped     desk"));
    REQUIRE(rig.server->requests().size() == 1);
    CHECK(contains(rig.server->requests()[0], "Authorization: Basic Ym9iOnNlY3JldA=="));
    CHECK(contains(rig.server->requests()[0], "\r\nHost: localhost:"));
}

TEST_CASE("--json lists for programs") {
    Rig rig;
    CHECK(rig.run({"-l", "-n", "--json"}).out ==
          R"({"event":"vms","vms":[{"id":7,"name":"desk","state":"stopped","blocked":false}]})"
          "\n");
}

TEST_CASE("each refusal has its exit status and the server's own words") {
    struct Refusal {
        int code;
        int exit_code;
    };
    for (const Refusal refusal : {Refusal{401, 5}, Refusal{403, 7}, Refusal{503, 7},
                                  Refusal{504, 7}, Refusal{426, 7}, Refusal{500, 7}}) {
        Rig rig{http_reply(refusal.code, "because of \x1b[31mthis")};
        const Outcome outcome = rig.run({"-l", "-n"});
        CHECK_MESSAGE(outcome.exit_code == refusal.exit_code, refusal.code);
        if (refusal.code != 401) CHECK(contains(outcome.err, "because of [31mthis"));
    }
}

TEST_CASE("an error as JSON carries code, sentence and exit status") {
    Rig rig{http_reply(401, "no")};
    const Outcome outcome = rig.run({"-l", "-n", "--json"});
    CHECK(contains(outcome.out, R"("event":"error","code":"login.refused")"));
    CHECK(contains(outcome.out, R"("exit_code":5)"));
}

TEST_CASE("a server that is not there, or speaks no TLS, or no QVD") {
    const Home home;
    Program refused{home, {"-l", "-h", "127.0.0.1", "-p", "1", "-u", "bob", "-w", "x"}, {}};
    const Outcome outcome = refused.finish();
    CHECK(outcome.exit_code == 3);
    CHECK(contains(outcome.err, "127.0.0.1 port 1"));
    Program unknown{home, {"-l", "-h", "no-such-host.invalid", "-u", "bob", "-w", "x"}, {}};
    CHECK(unknown.finish().exit_code == 3);
    Rig rig{"SSH-2.0-x\r\n\r\n"};
    CHECK(rig.run({"-l", "-n"}).exit_code == 7);
}

TEST_CASE("an untrusted certificate is refused where nobody can answer, and no password sent") {
    Rig rig;
    const Outcome outcome = rig.run({"-l"});
    CHECK(outcome.exit_code == 4);
    CHECK(contains(outcome.err, "self-signed certificate"));
    CHECK(rig.server->requests().empty());
}

TEST_CASE("every problem of a certificate is named at once") {
    const Identity wrong =
        make_identity("elsewhere", {"DNS:elsewhere.example.org", -7200, -3600, nullptr, false});
    Rig rig{list_reply, {}, wrong};
    const Outcome outcome = rig.run({"-l"});
    CHECK(outcome.exit_code == 4);
    for (const std::string& part : {std::string("hostname mismatch"), std::string("has expired"),
                                    std::string("self-signed"), wrong.fingerprint()})
        CHECK_MESSAGE(contains(outcome.err, part), outcome.err);
}

TEST_CASE("a certificate of an authority in ~/.qvd/certs needs no question") {
    const Identity authority = make_identity("test authority", {"", -60, 3600, nullptr, true});
    Rig rig{list_reply,
            {},
            make_identity("localhost", {"DNS:localhost", -60, 3600, &authority, false})};
    CHECK(rig.run({"-l"}).exit_code == 4);
    rig.home.write(".qvd/certs/company.crt", authority.certificate_pem());
    CHECK(rig.run({"-l"}).exit_code == 0);
}

TEST_CASE("on a terminal the certificate is asked about, and always is remembered") {
    Rig rig;
    const std::vector<std::string> arguments{
        "-l", "-h", "localhost:" + std::to_string(rig.server->port()), "-u", "bob"};
    Program asking{rig.home, arguments, {}, true};
    REQUIRE(asking.prints("Password of bob on localhost: "));
    asking.type("secret\n");
    REQUIRE(asking.prints("Accept it? [once / always / no] "));
    asking.type("always\n");
    const Outcome first = asking.finish();
    CHECK(first.exit_code == 0);
    CHECK_FALSE(contains(first.out, "secret"));
    CHECK(contains(rig.server->requests()[0], "Authorization: Basic Ym9iOnNlY3JldA=="));
    CHECK(rig.run({"-l"}).exit_code == 0);
}

TEST_CASE("a no on the terminal ends it before any password leaves") {
    Rig rig;
    Program asking{rig.home,
                   {"-l", "-h", "localhost:" + std::to_string(rig.server->port()), "-u", "bob"},
                   {{"QVDPASSWORD", "secret"}},
                   true};
    REQUIRE(asking.prints("[once / always / no] "));
    asking.type("no\n");
    CHECK(asking.finish().exit_code == 4);
    CHECK(rig.server->requests().empty());
}

TEST_CASE("the password may come from standard input, and none is a usage error") {
    Rig rig;
    for (const std::vector<std::string>& how :
         {std::vector<std::string>{"-w", "-"}, std::vector<std::string>{}}) {
        std::vector<std::string> arguments{
            "-l", "-n", "-u", "bob", "-h", "localhost:" + std::to_string(rig.server->port())};
        arguments.insert(arguments.end(), how.begin(), how.end());
        Program piped{rig.home, arguments, {}};
        piped.type("secret\n");
        CHECK(piped.finish().exit_code == 0);
    }
    for (const std::string& request : rig.server->requests())
        CHECK(contains(request, "Ym9iOnNlY3JldA=="));
    Program none{rig.home, {"-l", "-n", "-h", "localhost", "-u", "bob"}, {}};
    none.close_input();
    CHECK(none.finish().exit_code == 2);
}

TEST_CASE("neither -w nor QVDPASSWORD can be read from /proc, nor from the log") {
    std::string seen;
    std::string environment_seen;
    std::atomic<pid_t> running{0};
    const auto look = [&](const char* name) {
        std::ostringstream text;
        text << std::ifstream("/proc/" + std::to_string(running.load()) + "/" + name).rdbuf();
        return text.str();
    };
    TestServer server{make_identity("localhost"), [&](Peer& peer) {
                          (void)peer.request();
                          seen = look("cmdline");
                          environment_seen = look("environ");
                          peer.record(list_reply);
                      }};
    const Home home;
    Program program{home,
                    {"-l", "-n", "-h", "localhost:" + std::to_string(server.port()), "-u", "bob",
                     "-w", "hunter2"},
                    {{"QVDPASSWORD", "hunter3"}, {"QVD_DEBUG_FILE", home.path() + "/log"}}};
    running = program.pid();
    program.close_input();
    CHECK(program.finish().exit_code == 0);
    server.end();
    CHECK(contains(seen, "-w"));
    CHECK_FALSE(contains(seen, "hunter2"));
    CHECK(contains(environment_seen, "QVDPASSWORD"));
    CHECK_FALSE(contains(environment_seen, "hunter3"));
    std::ostringstream log;
    log << std::ifstream(home.path() + "/log").rdbuf();
    CHECK(contains(log.str(), "list_of_vm"));
    CHECK_FALSE(contains(log.str(), "hunter"));
    CHECK_FALSE(contains(log.str(), "Ym9i"));
}

TEST_CASE("a signal ends it while the server lets it wait") {
    std::atomic<pid_t> running{0};
    TestServer server{make_identity("localhost"), [&](Peer& peer) {
                          (void)peer.request();
                          ::kill(running.load(), SIGINT);
                          (void)peer.bytes();
                      }};
    const Home home;
    Program program{
        home,
        {"-l", "-n", "-h", "localhost:" + std::to_string(server.port()), "-u", "bob", "-w", "x"},
        {}};
    running = program.pid();
    CHECK(program.finish().exit_code == 9);
}

TEST_CASE("without a display the refusal comes before the login") {
    Rig rig;
    const Outcome none = rig.run({"-n"});
    CHECK(none.exit_code == 8);
    CHECK(contains(none.err, "DISPLAY is not set"));
    CHECK(rig.run({"-n"}, {{"DISPLAY", "localhost:987.0"}}).exit_code == 8);
    CHECK(rig.server->requests().empty());
}
