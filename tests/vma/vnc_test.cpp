// A session shown over the agent's own connection, with a stand-in for the VNC server.
#include "agent/protocol.hpp"
#include "base/log.hpp"
#include "tests/skip.hpp"
#include "tests/vma/workshop.hpp"
#include "vma/agent.hpp"
#include "vma/session_record.hpp"
#include "vma/watched_process.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>

using namespace qvd;
using namespace qvd::vma;
using testing::Workshop;

namespace {

constexpr std::string_view upgrade =
    "GET /vma/vnc_connect HTTP/1.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: VNC\r\n\r\n";

pid_t waiting_process() {
    const pid_t process = ::fork();
    if (process != 0) return process;
    ::pause();
    ::_exit(0);
}

// An agent that finds the session of one before it: a suspended one, of the user nobody.
struct Watched : Workshop {
    config::Properties file;
    HookPlugins plugins{loop, settings, file};
    std::optional<Agent> agent;
    pid_t leader = waiting_process();

    explicit Watched(Phase phase = Phase::suspended) {
        settings.address = "127.0.0.1";
        settings.port = 0;
        settings.x11vnc = folder.write(
            "x11vnc", "#!/bin/sh\necho RFB 003.008\nread line\necho \"$line, $(id -un), $*\"\n",
            0755);
        const passwd* const nobody = ::getpwnam("nobody");
        SessionRecord record;
        record.phase = phase;
        record.leader = leader;
        record.leader_started = facts_of(leader)->started;
        record.user_name = nobody->pw_name;
        record.uid = nobody->pw_uid;
        record.was_connected = true;
        if (phase != Phase::stopped) REQUIRE(save_record(record, settings).ok());
        agent.emplace(loop, processes, settings, plugins);
        REQUIRE(agent->start().ok());
    }
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    ~Watched() {
        ::kill(leader, SIGKILL);
        ::waitpid(leader, nullptr, 0);
    }

    UniqueFd connect() {
        UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(agent->port());
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        (void)::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
        return socket;
    }
    // Sends, and reads until `end` has come or the other side has closed.
    std::string exchange(const UniqueFd& socket, std::string_view bytes, std::string_view end) {
        ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        std::string got;
        until([&] {
            char buffer[4096];
            const ssize_t size = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (size > 0) got.append(buffer, static_cast<std::size_t>(size));
            return size == 0 || (!end.empty() && got.ends_with(end));
        });
        return got;
    }
    std::string answer(std::string_view request) { return exchange(connect(), request, "\r\n"); }
};

}  // namespace

#define NEEDS_ROOT()                                                 \
    if (::geteuid() != 0) {                                          \
        qvd::test::skip("only root can act for the session's user"); \
        return;                                                      \
    }

TEST_CASE("who asks for it gets the session's display over the same connection, as its user" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const log::Capture quiet;
    Watched vm;
    vm.settings.x11vnc_args = {"-viewonly"};
    const UniqueFd socket = vm.connect();
    const std::string head = vm.exchange(socket, upgrade, "RFB 003.008\n");
    CHECK(head.starts_with("HTTP/1.1 102 Processing\r\nX-QVD-VMA-Info: "));
    CHECK(head.find("\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "
                    "VNC\r\n\r\nRFB 003.008\n") != std::string::npos);
    CHECK(vm.exchange(socket, "RFB 003.007\n", "") ==
          "RFB 003.007, nobody, -display :100 -inetd -viewonly\n");
}

TEST_CASE("without the upgrade it is refused, and told which" * doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const log::Capture quiet;
    Watched vm;
    for (const char* request :
         {"GET /vma/vnc_connect HTTP/1.0\r\n\r\n",
          "GET /vma/vnc_connect HTTP/1.0\r\nUpgrade: VNC\r\n\r\n",
          "GET /vma/vnc_connect HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: SPICE\r\n\r\n"}) {
        const std::string answer = vm.answer(request);
        CHECK_MESSAGE(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), request);
        CHECK(answer.find("\r\nUpgrade: VNC\r\n") != std::string::npos);
    }
}

TEST_CASE("without a session, or a program to show it, it is refused with the reason" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const log::Capture quiet;
    SUBCASE("no session") {
        Watched vm(Phase::stopped);
        const std::string answer = vm.answer(upgrade);
        CHECK(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        CHECK(answer.find("it is stopped") != std::string::npos);
    }
    SUBCASE("no program") {
        Watched vm;
        vm.settings.x11vnc = "/nowhere/x11vnc";
        const std::string answer = vm.answer(upgrade);
        CHECK(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
        CHECK(answer.find("command.x11vnc = /nowhere/x11vnc") != std::string::npos);
    }
}

TEST_CASE("without the VM's token nobody looks at a session" * doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const log::Capture quiet;
    Watched vm;
    vm.folder.write("token", "secret\n");
    CHECK(vm.answer(upgrade).starts_with("HTTP/1.1 401 "));
}

TEST_CASE("what follows the request before its answer would be lost, so it is refused" *
          doctest::test_suite("needs root")) {
    NEEDS_ROOT();
    const log::Capture quiet;
    Watched vm;
    CHECK(vm.answer(std::string(upgrade) + "RFB 003.008\n").starts_with("HTTP/1.1 400 "));
}
