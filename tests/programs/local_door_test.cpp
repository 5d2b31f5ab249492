// The port behind which qa offers a VM's stream: only for who opened it.
#include "programs/qa/local_door.hpp"

#include "tests/skip.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

using namespace qvd;
using namespace qvd::qa;

namespace {

UniqueFd connect_to(std::uint16_t port) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    there.sin_port = htons(port);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&there), sizeof there) == 0);
    return fd;
}

}  // namespace

TEST_CASE("whose end of a connection it is stands in the kernel's table") {
    constexpr std::string_view table =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        "
        "0\n"
        "   1: 0100007F:D2F0 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        "
        "0\n"
        "   2: 0100007F:1F90 0100007F:D2F0 01 00000000:00000000 00:00000000 00000000     7        "
        "0\n";
    CHECK(owner_of_end(table, 0xD2F0, 0x1F90) == 1000);
    CHECK(owner_of_end(table, 0x1F90, 0xD2F0) == 7);
    CHECK(owner_of_end(table, 1, 0x1F90) == -1);
    CHECK(owner_of_end("", 1, 2) == -1);
}

TEST_CASE("a connection of one's own is let in, and somebody else's is closed" *
          doctest::test_suite("needs root")) {
    const LocalDoor door = LocalDoor::open(0).value();
    const UniqueFd mine = connect_to(door.port());
    CHECK(door.accept(-1, -1));
    if (::geteuid() != 0) return qvd::test::skip("only root can be somebody else");
    std::array<int, 2> connected{};
    REQUIRE(::pipe2(connected.data(), O_CLOEXEC) == 0);
    const pid_t other = ::fork();
    if (other == 0) {
        if (::setresuid(65534, 65534, 65534) != 0) ::_exit(9);
        const UniqueFd theirs = connect_to(door.port());
        if (::write(connected[1], "c", 1) != 1) ::_exit(8);
        char byte = 0;
        ::_exit(::read(theirs.get(), &byte, 1) == 0 ? 0 : 1);
    }
    char byte = 0;
    REQUIRE(::read(connected[0], &byte, 1) == 1);
    // Behind it in the queue, so that the door has seen the other's before it lets anybody in.
    const UniqueFd next = connect_to(door.port());
    CHECK(door.accept(-1, -1));
    int status = 0;
    REQUIRE(::waitpid(other, &status, 0) == other);
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a program in the foreground gives its exit status, and ends with who started it") {
    auto five = Foreground::start({"sh", "-c", "exit 5"}).value();
    CHECK(five.wait(false) == 5);
    auto sleeper = Foreground::start({"sleep", "100"}).value();
    CHECK(sleeper.wait(true) == 128 + 15);
    CHECK_FALSE(Foreground::start({"/nonexistent/program"}).ok());
}
