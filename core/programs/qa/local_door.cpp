#include "local_door.hpp"

#include "base/program.hpp"
#include "base/text.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace qvd::qa {

namespace {

// NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): the socket interface is made so
Result<std::uint16_t> bind_to(int socket, std::uint16_t port) {
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here.sin_port = htons(port);
    socklen_t length = sizeof here;
    constexpr int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
        ::listen(socket, 4) != 0 ||
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&here), &length) != 0)
        return errno_error("door.port", "cannot listen at 127.0.0.1 port " + std::to_string(port));
    return ntohs(here.sin_port);
}

std::uint16_t peer_port(int socket) {
    sockaddr_in there{};
    socklen_t length = sizeof there;
    if (::getpeername(socket, reinterpret_cast<sockaddr*>(&there), &length) != 0) return 0;
    return ntohs(there.sin_port);
}
// NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)

bool is_ours(int socket, std::uint16_t door) {
    std::ifstream file("/proc/net/tcp");
    const std::string table((std::istreambuf_iterator<char>(file)),
                            std::istreambuf_iterator<char>());
    return owner_of_end(table, peer_port(socket), door) == static_cast<std::int64_t>(::geteuid());
}

// "0100007F:1F90" for 127.0.0.1 port 8080, on a machine of our byte order.
std::string end_of(std::uint16_t port) {
    std::array<char, 32> text{};
    const int length = std::snprintf(text.data(), text.size(), "%08X:%04X", htonl(INADDR_LOOPBACK),
                                     static_cast<unsigned>(port));
    return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

std::int64_t owner_of_end(std::string_view table, std::uint16_t local, std::uint16_t remote) {
    std::istringstream lines{std::string(table)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::array<std::string, 8> columns;
        for (std::string& column : columns) words >> column;
        if (columns[1] == end_of(local) && columns[2] == end_of(remote))
            return text::to_integer(columns[7]).value_or(-1);
    }
    return -1;
}

Result<LocalDoor> LocalDoor::open(std::uint16_t port) {
    LocalDoor door;
    door.listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!door.listener_) return errno_error("door.port", "cannot make a socket");
    QVD_TRY(door.port_, bind_to(door.listener_.get(), port));
    return door;
}

UniqueFd LocalDoor::accept(int ends, int stop_fd) const {
    for (;;) {
        std::array<pollfd, 3> watched{
            {{listener_.get(), POLLIN, 0}, {ends, POLLIN, 0}, {stop_fd, POLLIN, 0}}};
        if (::poll(watched.data(), watched.size(), -1) < 0) continue;
        if (watched[2].revents != 0) return {};
        UniqueFd come{::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
        if (come && is_ours(come.get(), port_)) {
            constexpr int on = 1;
            ::setsockopt(come.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            return come;
        }
        if (!come && watched[1].revents != 0) return {};
    }
}

Result<Foreground> Foreground::start(std::vector<std::string> arguments) {
    posix_spawnattr_t attributes{};
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    sigset_t ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &ignored);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<std::string> environment = program::environment_with({}, {"QVDPASSWORD"});
    pid_t pid = 0;
    errno = ::posix_spawnp(&pid, arguments.front().c_str(), nullptr, &attributes,
                           program::pointers_to(arguments).data(),
                           program::pointers_to(environment).data());
    ::posix_spawnattr_destroy(&attributes);
    if (errno != 0) return errno_error("program.start", "cannot run " + arguments.front());
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-vararg): syscall() is declared that way
    return Foreground(pid, UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))});
}

Foreground::Foreground(Foreground&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)), process_(std::move(other.process_)) {
}

Foreground::~Foreground() {
    if (pid_ != 0) (void)wait(true);
}

int Foreground::wait(bool stop) {
    if (stop) ::kill(pid_, SIGTERM);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace qvd::qa
