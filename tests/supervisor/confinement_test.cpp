#include "supervisor/confinement.hpp"

#include "base/syslog.hpp"
#include "net/listener.hpp"
#include "net/tls.hpp"
#include "tests/skip.hpp"
#include "tests/supervisor/scratch.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <vector>

using namespace qvd::supervisor;

namespace {

const char* const user = "nobody";

// Runs `act` in a child that has been confined; gives its wait status. 99: it could not be
// confined.
int confined(bool system_calls, const std::function<int()>& act) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (!confine({user, system_calls, 256}).ok()) ::_exit(99);
        ::_exit(act());
    }
    int wait_status = 0;
    REQUIRE(::waitpid(child, &wait_status, 0) == child);
    return wait_status;
}

int exit_status(int wait_status) {
    return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
}

void need(bool there, const char* what) {
    if (there) return;
    std::fprintf(stderr, "skipped: %s\n", what);
    std::exit(77);
}

}  // namespace

TEST_CASE("a confined process is its user, has no capability and cannot become root again") {
    need(::geteuid() == 0, "giving up rights needs root");
    const uid_t uid = ::getpwnam(user)->pw_uid;
    const int result = confined(false, [uid] {
        if (::getuid() != uid || ::geteuid() != uid) return 1;
        if (::setuid(0) == 0 || ::seteuid(0) == 0) return 2;
        if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return 3;
        if (::prctl(PR_CAPBSET_READ, 21, 0, 0, 0) != 0) return 4;
        if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) return 5;
        if (::chown("/", 0, 0) == 0) return 6;
        rlimit limit{};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max != 256) return 7;
        if (::getrlimit(RLIMIT_CORE, &limit) != 0 || limit.rlim_max != 0) return 8;
        std::vector<gid_t> groups(64);
        const int count = ::getgroups(64, groups.data());
        for (int i = 0; i < count; ++i)
            if (groups[static_cast<std::size_t>(i)] == 0) return 9;
        return 0;
    });
    CHECK(exit_status(result) == 0);
}

TEST_CASE("a user that is not there, or is root, is refused in words") {
    need(::geteuid() == 0, "giving up rights needs root");
    // In children: the capabilities are given up before the user is changed.
    for (const std::string name : {"no-such-user", "root"}) {
        const pid_t child = ::fork();
        if (child == 0) {
            const auto done = confine({name, false, 0});
            ::_exit(!done.ok() && done.error().code() == "confine.user" &&
                            done.error().sentence().find(name) != std::string::npos
                        ? 0
                        : 1);
        }
        int wait_status = 0;
        REQUIRE(::waitpid(child, &wait_status, 0) == child);
        CHECK(exit_status(wait_status) == 0);
    }
}

TEST_CASE("a worker may do what it is there for") {
    need(::geteuid() == 0 && filter_available(), "the filter needs root and no sanitizer");
    const int result = confined(true, [] {
        const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
        const int events = ::epoll_create1(EPOLL_CLOEXEC);
        epoll_event event{};
        if (listener < 0 || events < 0) return 1;
        if (::epoll_ctl(events, EPOLL_CTL_ADD, listener, &event) != 0) return 2;
        if (::epoll_wait(events, &event, 1, 0) < 0) return 3;
        const int on = 1;
        if (::setsockopt(listener, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0) return 4;
        if (::fcntl(listener, F_SETFL, O_NONBLOCK) != 0) return 5;
        const std::vector<char> memory(8U << 20U);
        if (memory.empty()) return 6;
        std::time_t now = std::time(nullptr);
        if (std::localtime(&now) == nullptr) return 7;
        struct stat about {};
        if (::fstat(listener, &about) != 0) return 8;
        rlimit limit{};
        if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur != 256) return 10;
        return std::printf("%s", "") < 0 ? 9 : 0;
    });
    CHECK(exit_status(result) == 0);
}

TEST_CASE("a worker that logs to the system's log goes on doing so") {
    need(::geteuid() == 0 && filter_available(), "the filter needs root and no sanitizer");
    const Scratch scratch;
    REQUIRE(::chmod(scratch.folder().c_str(), 0755) == 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = scratch.path("log");
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto listen = [&] {
        qvd::UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
        REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::chmod(path.c_str(), 0666) == 0);
        return socket;
    };
    qvd::UniqueFd listener = listen();
    qvd::Syslog log("test", path);
    // The log is another one by the time that the worker is confined.
    REQUIRE(::unlink(path.c_str()) == 0);
    listener = listen();
    const int result = confined(true, [&log] {
        log.write(6, "here I am");
        return 0;
    });
    CHECK(exit_status(result) == 0);
    std::array<char, 256> line{};
    CHECK(::recv(listener.get(), line.data(), line.size() - 1, 0) > 0);
    CHECK(std::string(line.data()).ends_with(": here I am"));
}

TEST_CASE("a worker may let the kernel encrypt, where it can" *
          doctest::test_suite("needs kernel-tls")) {
    need(::geteuid() == 0 && filter_available(), "the filter needs root and no sanitizer");
    if (!qvd::net::kernel_has_tls()) {
        qvd::test::skip("this kernel offers no TLS (module \"tls\" is not loaded)");
        return;
    }
    const auto listener = std::move(qvd::net::listen_on("127.0.0.1", 0)).value();
    const std::uint16_t port = qvd::net::port_of(listener.get()).value();
    const int encrypted = confined(true, [port] {
        const auto client = qvd::net::begin_connect("127.0.0.1", port);
        if (!client.ok() || !qvd::net::finish_connect(client->get()).ok()) return 1;
        constexpr int tcp_ulp = 31;
        return ::setsockopt(client->get(), IPPROTO_TCP, tcp_ulp, "tls", 3) == 0 ? 0 : 2;
    });
    CHECK(exit_status(encrypted) == 0);
}

TEST_CASE("a worker's forbidden calls are refused") {
    need(::geteuid() == 0 && filter_available(), "the filter needs root and no sanitizer");
    struct Forbidden {
        const char* what;
        std::function<bool()> allowed;
    };
    const std::vector<Forbidden> all{
        {"open", [] { return ::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0; }},
        {"stat",
         [] {
             struct stat about {};
             return ::stat("/etc/passwd", &about) == 0;
         }},
        {"fork", [] { return ::fork() >= 0; }},
        {"unix socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0) >= 0; }},
        {"netlink socket", [] { return ::socket(AF_NETLINK, SOCK_RAW, 0) >= 0; }},
        {"executable memory",
         [] {
             return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                           0) != MAP_FAILED;
         }},
        {"raising a limit",
         [] {
             const rlimit limit{512, 512};
             return ::setrlimit(RLIMIT_NOFILE, &limit) == 0;
         }},
        {"limits of another",
         [] {
             rlimit limit{};
             return ::prlimit(::getppid(), RLIMIT_NOFILE, nullptr, &limit) == 0;
         }},
        {"pipe",
         [] {
             std::array<int, 2> ends{};
             return ::pipe2(ends.data(), O_CLOEXEC) == 0;
         }},
        {"duplicate", [] { return ::dup(0) >= 0; }},
        {"signal to another", [] { return ::kill(::getppid(), 0) == 0; }},
        {"bind",
         [] {
             sockaddr_in address{};
             address.sin_family = AF_INET;
             return ::bind(::socket(AF_INET, SOCK_STREAM, 0), reinterpret_cast<sockaddr*>(&address),
                           sizeof address) == 0;
         }},
    };
    for (const Forbidden& one : all) {
        const int result = confined(true, [&one] {
            if (one.allowed()) return 1;
            return errno == EPERM ? 0 : 2;
        });
        CHECK_MESSAGE(exit_status(result) == 0, one.what);
    }
}

TEST_CASE("a worker that tries to run a program or to trace another process is killed") {
    need(::geteuid() == 0 && filter_available(), "the filter needs root and no sanitizer");
    const int exec = confined(true, [] { return ::execl("/bin/true", "true", nullptr); });
    CHECK(WIFSIGNALED(exec));
    CHECK(WTERMSIG(exec) == SIGSYS);
    const int trace =
        confined(true, [] { return static_cast<int>(::ptrace(PTRACE_TRACEME, 0, 0, 0)); });
    CHECK(WIFSIGNALED(trace));
    CHECK(WTERMSIG(trace) == SIGSYS);
}
