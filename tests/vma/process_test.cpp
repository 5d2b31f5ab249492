// Commands, the followed log, watched processes, and the record of a session.
#include "tests/vma/workshop.hpp"
#include "vma/output_tail.hpp"
#include "vma/session_record.hpp"
#include "vma/watched_process.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <csignal>

using namespace qvd;
using namespace qvd::vma;
using testing::Workshop;

namespace {

Result<Outcome> run(Workshop& shop, std::vector<std::string> argv, std::string input = "") {
    Command command;
    command.argv = std::move(argv);
    command.input = std::move(input);
    return shop.finish(shop.processes.run(std::move(command)));
}

}  // namespace

TEST_CASE("a command's output and end are reported") {
    Workshop shop;
    CHECK(run(shop, {"/bin/sh", "-c", "cat; echo err >&2"}, "given\n").value().output ==
          "given\nerr\n");
    const auto failed = run(shop, {"/bin/sh", "-c", "echo one; echo two; exit 9"});
    CHECK_FALSE(failed->ok());
    CHECK(failed->sentence("tool") == "tool ended with status 9: two");
    CHECK(run(shop, {"/bin/sh", "-c", "kill -9 $$"})->sentence("tool") ==
          "tool was killed by signal 9");
    CHECK(run(shop, {"/no/such/program"}).error().code() == "vma.command");
}

TEST_CASE("a command runs with nothing of the agent's but what it is given") {
    Workshop shop;
    ::setenv("QVD_TEST_LEAK", "1", 1);
    const auto outcome =
        run(shop, {"/bin/sh", "-c", "echo ${QVD_TEST_LEAK-none}; pwd; ls /proc/self/fd"});
    CHECK(outcome->output.starts_with("none\n/\n"));
    CHECK(outcome->output.find("0\n1\n2\n") != std::string::npos);
}

TEST_CASE("a look-up that crashes or hangs does so in a child") {
    Workshop shop;
    CHECK(shop.finish(shop.processes.ask([] { return std::string("42"); }, Milliseconds{5000}))
              .value() == "42");
    const auto crashed = shop.finish(shop.processes.ask(
        []() -> std::string {
            ::raise(SIGKILL);
            return "";
        },
        Milliseconds{5000}));
    CHECK(crashed.error().code() == "vma.question");
    const auto hung = shop.finish(shop.processes.ask(
        []() -> std::string {
            ::pause();
            return "";
        },
        Milliseconds{100}));
    CHECK(hung.error().code() == "vma.question");
}

TEST_CASE("orphans that end up with the agent are reaped") {
    Workshop shop;
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const auto outcome = run(shop, {"/bin/sh", "-c", "(sleep 0.2; exit 3) & echo $!"});
    const std::string orphan = "/proc/" + outcome->output.substr(0, outcome->output.find('\n'));
    CHECK(std::filesystem::exists(orphan));
    CHECK(shop.until([&] { return !std::filesystem::exists(orphan); }));
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST_CASE("a followed log gives its lines, whole and once, from where it is told to begin") {
    Workshop shop;
    std::vector<std::string> lines;
    OutputTail tail(shop.loop, [&](std::string_view line) { lines.emplace_back(line); });
    const std::string path = shop.folder.write("out", "old\nfirst\nha");
    REQUIRE(tail.follow(path, 4).ok());
    CHECK(shop.until([&] { return lines.size() == 1; }));
    CHECK(tail.offset() == 10);
    std::ofstream(path, std::ios::app) << "lf\n" << std::string(10'000, 'x') << "\nlast\n";
    CHECK(shop.until([&] { return lines.size() >= 3; }));
    CHECK(lines == std::vector<std::string>{"first", "half", "", "last"});
    std::filesystem::resize_file(path, 0);
    tail.catch_up();
    std::ofstream(path, std::ios::app) << "anew\n";
    CHECK(shop.until([&] { return lines.back() == "anew"; }));
}

TEST_CASE("a log that has grown long is put aside before the next session") {
    const Workshop shop;
    const std::string path = shop.folder.write("out", std::string(5U << 20U, 'x'));
    CHECK(OutputTail::prepare(path).value() == 0);
    CHECK(std::filesystem::file_size(path + ".1") == 5U << 20U);
    CHECK(OutputTail::prepare(path).value() == 0);
}

TEST_CASE("a process is known by its start, not by its number alone") {
    Workshop shop;
    Command command;
    command.argv = {"sleep", "1000"};
    const pid_t child = shop.processes.start(command).value();
    shop.processes.on_exit(child, [](int) {});
    const auto facts = facts_of(child);
    REQUIRE(facts.has_value());
    CHECK(facts->parent == ::getpid());
    WatchedProcess watched(shop.loop);
    CHECK_FALSE(watched.watch(child, facts->started + 1, [] {}).ok());
    bool gone = false;
    REQUIRE(watched.watch(child, facts->started, [&] { gone = true; }).ok());
    watched.send(SIGTERM);
    CHECK(shop.until([&] { return gone; }));
    CHECK_FALSE(watched.alive());
    watched.send(SIGKILL);  // hits nobody
}

TEST_CASE("whether a port is bound is read from the kernel's table, owner included") {
    static constexpr std::string_view table =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout\n"
        "   0: 00000000:1004 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        "
        "0 7\n"
        "   1: 0100007F:1005 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1001        "
        "0 8\n";
    CHECK(lists_listener(table, 4100, 1001));
    CHECK_FALSE(lists_listener(table, 4100, 0));
    CHECK_FALSE(lists_listener(table, 4101, 1001));
    const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    REQUIRE(::listen(socket.get(), 1) == 0);
    sockaddr_in bound{};
    socklen_t length = sizeof bound;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&bound), &length);
    CHECK(is_listening(ntohs(bound.sin_port), ::getuid()));
}

TEST_CASE("a session's record is written, read back, and gone when the session is") {
    const Workshop shop;
    const SessionRecord record{Phase::connected, 10,          11, 12,  13, 1001, 4711,
                               "ana\n= b",       "/home/ana", 7,  true};
    REQUIRE(save_record(record, shop.settings).ok());
    const auto read = load_record(shop.settings);
    REQUIRE(read.ok());
    REQUIRE(read->has_value());
    CHECK(encode_record(**read) == encode_record(record));
    CHECK(shop.folder.read("run/nxagent.state").starts_with("connected:"));
    CHECK(shop.folder.read("run/nxagent.pid") == "12\n");
    REQUIRE(save_record(SessionRecord{}, shop.settings).ok());
    CHECK(std::filesystem::is_empty(shop.folder.at("run")));
    CHECK_FALSE(load_record(shop.settings).value().has_value());
    CHECK(decode_record("phase = connected\n").error().code() == "vma.record");
}
