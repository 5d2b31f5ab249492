// The small parts of the supervisor, each on its own.
#include "base/file.hpp"
#include "net/listener.hpp"
#include "supervisor/command_socket.hpp"
#include "supervisor/handover.hpp"
#include "supervisor/leases.hpp"
#include "supervisor/lifeline.hpp"
#include "supervisor/notify.hpp"
#include "supervisor/pid_file.hpp"
#include "supervisor/roles_file.hpp"
#include "tests/skip.hpp"
#include "tests/supervisor/scratch.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

using namespace qvd;
using namespace qvd::supervisor;

namespace {

UniqueFd connect_to(const char* address, std::uint16_t port, int family) {
    UniqueFd fd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in6 six{};
    sockaddr_in four{};
    six.sin6_family = AF_INET6;
    four.sin_family = AF_INET;
    six.sin6_port = four.sin_port = htons(port);
    ::inet_pton(AF_INET6, address, &six.sin6_addr);
    ::inet_pton(AF_INET, address, &four.sin_addr);
    const int done = family == AF_INET6
                         ? ::connect(fd.get(), reinterpret_cast<sockaddr*>(&six), sizeof six)
                         : ::connect(fd.get(), reinterpret_cast<sockaddr*>(&four), sizeof four);
    if (done != 0) fd.reset();
    return fd;
}

bool has_ipv6() {
    return static_cast<bool>(net::listen_on("::1", 0).ok());
}

}  // namespace

TEST_CASE("* listens on every address of both families") {
    const auto listener = net::listen_on("*", 0);
    REQUIRE(listener.ok());
    const std::uint16_t port = net::port_of(listener->get()).value();
    CHECK(connect_to("127.0.0.1", port, AF_INET));
    if (has_ipv6()) CHECK(connect_to("::1", port, AF_INET6));
}

TEST_CASE("one address listens on that address only") {
    const auto listener = net::listen_on("127.0.0.1", 0);
    REQUIRE(listener.ok());
    const std::uint16_t port = net::port_of(listener->get()).value();
    CHECK(connect_to("127.0.0.1", port, AF_INET));
    CHECK_FALSE(connect_to("127.0.0.2", port, AF_INET));
}

TEST_CASE("a port that is taken and an address that is none are said in words") {
    const auto first = net::listen_on("127.0.0.1", 0);
    const auto second = net::listen_on("127.0.0.1", net::port_of(first->get()).value());
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code() == "listener.bind");
    CHECK(second.error().sentence().find("in use") != std::string::npos);
    const auto none = net::listen_on("no address", 1);
    REQUIRE_FALSE(none.ok());
    CHECK(none.error().code() == "listener.address");
}

TEST_CASE("a pid file can be locked once") {
    const Scratch scratch;
    const std::string path = scratch.path("node.pid");
    auto first = lock_pid_file(path);
    REQUIRE(first.ok());
    CHECK(file::read(path).value() == std::to_string(::getpid()) + "\n");
    const auto second = lock_pid_file(path);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code() == "node.runs_already");
    CHECK(second.error().sentence().find(std::to_string(::getpid())) != std::string::npos);
    first->reset();
    CHECK(lock_pid_file(path).ok());
}

TEST_CASE("what is handed over arrives") {
    Holdings holdings;
    holdings.pid_file.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    holdings.listener.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    holdings.listen_address = "*:8443";
    holdings.generation = 7;
    holdings.settings["l7r.port"] = "99 9=%";
    holdings.leases["/sys/fs/cgroup/qvd/1"] = 42;
    std::vector<Member> members(1);
    members[0].role = net::Role::hkd;
    members[0].instance = "hkd-0-ab";
    members[0].pid = 4242;
    members[0].generation = 6;
    members[0].ready = true;
    members[0].linked_to = "broker-0-cd";
    members[0].status = "two words\nand a line";
    members[0].control.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    members[0].process.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const std::string text = "a line from the future x=1\n";
    const auto read = read_handover(write_handover(holdings, members) + text);
    (void)holdings.pid_file.release();  // read_handover() took the descriptors
    (void)holdings.listener.release();
    (void)members[0].control.release();
    (void)members[0].process.release();
    REQUIRE(read.ok());
    CHECK(static_cast<bool>(read->holdings.pid_file));
    CHECK_FALSE(static_cast<bool>(read->holdings.command_socket));
    CHECK(read->holdings.listen_address == "*:8443");
    CHECK(read->holdings.generation == 7);
    CHECK(read->holdings.settings.at("l7r.port") == "99 9=%");
    CHECK(read->holdings.leases.at("/sys/fs/cgroup/qvd/1") == 42);
    REQUIRE(read->members.size() == 1);
    CHECK(read->members[0].role == net::Role::hkd);
    CHECK(read->members[0].pid == 4242);
    CHECK(read->members[0].ready);
    CHECK_FALSE(read->members[0].leaving);
    CHECK(read->members[0].linked_to == "broker-0-cd");
    CHECK(read->members[0].status == "two words\nand a line");
    CHECK(::fcntl(read->members[0].control.get(), F_GETFD) == FD_CLOEXEC);
    CHECK(::fcntl(read->members[0].process.get(), F_GETFD) == FD_CLOEXEC);
}

TEST_CASE("a handover that makes no sense is refused") {
    CHECK_FALSE(read_handover("").ok());
    CHECK_FALSE(read_handover("something else\n").ok());
    CHECK_FALSE(read_handover("qvd-node handover 1\nmember role=hkd pid=1 instance=x\n").ok());
    CHECK_FALSE(read_handover("qvd-node handover 1\nmember role=cook pid=99 instance=x\n").ok());
}

TEST_CASE("a worker's lifeline leads to that worker, and to nobody once it lets go") {
    const Scratch scratch;
    const std::string folder = scratch.path("l7r");
    UniqueFd end = std::move(open_lifeline(folder, "l7r-0-aa")).value();
    struct stat about {};
    REQUIRE(::stat(folder.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0700U);
    REQUIRE(::stat((folder + "/l7r-0-aa").c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0600U);
    // This process plays the worker; another one, of the same file, has ended.
    Member self;
    self.pid = ::getpid();
    self.instance = "l7r-0-aa";
    std::vector<Member> members;
    members.push_back(std::move(self));
    write_roles_file(scratch.path("roles"), members);
    const std::string list = file::read(scratch.path("roles")).value();
    REQUIRE(file::write_atomic(scratch.path("roles"), list + "l7r 1 12345 l7r-1-bb\n", 0600).ok());
    CHECK(open_lifeline(folder, "l7r-1-bb").ok());

    const auto rescued = rescue_workers(scratch.path("roles"), folder);
    REQUIRE(rescued.size() == 1);
    CHECK(rescued[0].instance == "l7r-0-aa");
    CHECK_FALSE(has_ended(rescued[0].process));
    const UniqueFd control{::accept4(end.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    CHECK(net::send_order(rescued[0].control.get(), {net::order::Stop{}, {}}).ok());
    char byte = 0;
    CHECK(::recv(control.get(), &byte, 1, MSG_DONTWAIT) == 1);
    CHECK_FALSE(std::filesystem::exists(folder + "/l7r-1-bb"));

    end.reset();
    CHECK(rescue_workers(scratch.path("roles"), folder).empty());
    CHECK_FALSE(std::filesystem::exists(folder + "/l7r-0-aa"));
}

TEST_CASE("the command socket answers who asks") {
    const Scratch scratch;
    const std::string path = scratch.path("s.sock");
    CHECK(ask_supervisor(path, "status", Milliseconds{100}).error().code() == "node.not_running");
    const auto socket = open_command_socket(path);
    REQUIRE(socket.ok());
    struct stat about {};
    REQUIRE(::stat(path.c_str(), &about) == 0);
    CHECK((about.st_mode & 0777U) == 0600U);
    std::thread server([&] {
        for (int i = 0; i < 2;) {
            auto request = accept_command(socket->get());
            if (!request.ok()) continue;
            answer(request->client, request->text == "status", "about " + request->text);
            ++i;
        }
    });
    CHECK(ask_supervisor(path, "status", Milliseconds{10'000}).value() == "about status");
    const auto refused = ask_supervisor(path, "dance", Milliseconds{10'000});
    CHECK(refused.error().code() == "node.refused");
    CHECK(refused.error().sentence() == "about dance");
    server.join();
}

TEST_CASE("only control groups of VMs can be put under a lease") {
    CHECK(check_cgroup("/sys/fs/cgroup/qvd/vm-1").ok());
    CHECK(check_cgroup("/sys/fs/cgroup/memory/system.slice/qvd-node.service/vm/1").ok());
    CHECK_FALSE(check_cgroup("/sys/fs/cgroup/system.slice").ok());
    CHECK_FALSE(check_cgroup("/sys/fs/cgroup/qvd/../system.slice").ok());
    CHECK_FALSE(check_cgroup("/home/qvd").ok());
}

TEST_CASE(
    "a lease that has run out kills every process of the group, one that has not kills none") {
    const Scratch scratch;
    const std::string group = scratch.path("qvd");
    std::filesystem::create_directories(group + "/inner");
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    REQUIRE(
        file::write_atomic(group + "/inner/cgroup.procs", std::to_string(child) + "\n", 0600).ok());
    Leases leases{{group, 1000}};
    enforce_leases(leases, 999);
    CHECK(leases.size() == 1);
    CHECK(::waitpid(child, nullptr, WNOHANG) == 0);
    enforce_leases(leases, 1000);
    CHECK(leases.empty());
    int wait_status = 0;
    CHECK(::waitpid(child, &wait_status, 0) == child);
    CHECK(WTERMSIG(wait_status) == SIGKILL);
}

TEST_CASE("what the supervisor starts is not spared with it when memory runs out" *
          doctest::test_suite("needs oom-score")) {
    const Scratch scratch;
    const std::string own = "/proc/self/oom_score_adj";
    const std::string before = file::read(own).value();
    const auto set = [&](const std::string& score) {
        return static_cast<bool>(std::ofstream(own) << score << std::flush);
    };
    if (!set("-100")) {
        qvd::test::skip("this process may not be spared (CAP_SYS_RESOURCE)");
        return;
    }
    const UniqueFd output{
        ::open(scratch.path("score").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
    const pid_t child = run_program({"/bin/cat", own}, output.get()).value();
    int wait_status = 0;
    REQUIRE(::waitpid(child, &wait_status, 0) == child);
    CHECK(file::read(scratch.path("score")).value() == "0\n");
    CHECK(file::read(own).value() == "-100\n");
    CHECK(set(before));
}

TEST_CASE("systemd is told over its socket and nobody is without it") {
    const Scratch scratch;
    const std::string path = scratch.path("notify");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    const UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
    ::setenv("WATCHDOG_USEC", "10000000", 1);
    const ServiceNotifier notifier;
    ::unsetenv("NOTIFY_SOCKET");
    ::unsetenv("WATCHDOG_USEC");
    notifier.send("READY=1");
    std::array<char, 64> got{};
    REQUIRE(::recv(socket.get(), got.data(), got.size(), MSG_DONTWAIT) == 7);
    CHECK(std::string(got.data()) == "READY=1");
    CHECK(notifier.watchdog() == Milliseconds{5000});
    const ServiceNotifier silent;
    silent.send("READY=1");
    CHECK_FALSE(silent.watchdog().has_value());
}
