#include "keeper/console.hpp"

#include "common/files.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <termios.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace qvd::lxc {

namespace {
constexpr std::size_t clients_at_once = 8;
constexpr std::size_t chunk = 4096;
}  // namespace

Console::Console(std::string socket_path, std::string log_path, std::int64_t limit_bytes)
    : socket_path_(std::move(socket_path)),
      log_path_(std::move(log_path)),
      limit_bytes_(std::max<std::int64_t>(limit_bytes, chunk)) {
}

bool Console::open() {
    master_ = UniqueFd(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    char name[64];
    if (!master_ || ::grantpt(master_.get()) != 0 || ::unlockpt(master_.get()) != 0 ||
        ::ptsname_r(master_.get(), name, sizeof name) != 0)
        return false;
    terminal_ = name;
    slave_ = UniqueFd(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    termios raw{};
    if (!slave_ || ::tcgetattr(slave_.get(), &raw) != 0) return false;
    ::cfmakeraw(&raw);  // the container's own terminal does echo and line ends
    ::tcsetattr(slave_.get(), TCSANOW, &raw);
    ::unlink((log_path_ + ".1").c_str());
    log_ = UniqueFd(::open(log_path_.c_str(),
                           O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
    listener_ = listen_at(socket_path_, SOCK_STREAM);
    return log_ && listener_;
}

void Console::remove_socket() {
    ::unlink(socket_path_.c_str());
}

void Console::add_to(std::vector<pollfd>& polled) const {
    polled.push_back({master_.get(), POLLIN, 0});
    polled.push_back({listener_.get(), POLLIN, 0});
    for (const UniqueFd& client : clients_) polled.push_back({client.get(), POLLIN, 0});
}

void Console::serve(const pollfd& ready) {
    if (ready.fd == master_.get()) {
        from_terminal();
    } else if (ready.fd == listener_.get()) {
        accept_one();
    } else {
        from_client(ready.fd);
    }
}

void Console::drain() {
    while (from_terminal()) {
    }
}

void Console::accept_one() {
    UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client || !peer_is_root(client.get()) || clients_.size() >= clients_at_once) return;
    clients_.push_back(std::move(client));
}

bool Console::from_terminal() {
    char bytes[chunk];
    const ssize_t n = ::read(master_.get(), bytes, sizeof bytes);
    if (n <= 0) return false;
    const auto count = static_cast<std::size_t>(n);
    log(bytes, count);
    // Whoever reads too slowly loses what does not fit: the container must never wait for him.
    for (const UniqueFd& client : clients_)
        static_cast<void>(::send(client.get(), bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT));
    return true;
}

void Console::from_client(int fd) {
    const auto mine = std::find_if(clients_.begin(), clients_.end(),
                                   [fd](const UniqueFd& client) { return client.get() == fd; });
    if (mine == clients_.end()) return;
    char bytes[chunk];
    const ssize_t n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) {
        [[maybe_unused]] const ssize_t ignored =
            ::write(master_.get(), bytes, static_cast<std::size_t>(n));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        clients_.erase(mine);
    }
}

void Console::log(const char* bytes, std::size_t count) {
    if (logged_bytes_ + static_cast<std::int64_t>(count) > limit_bytes_) {
        ::rename(log_path_.c_str(), (log_path_ + ".1").c_str());
        log_ = UniqueFd(::open(log_path_.c_str(),
                               O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                               0600));
        logged_bytes_ = 0;
    }
    if (log_ && ::write(log_.get(), bytes, count) > 0)
        logged_bytes_ += static_cast<std::int64_t>(count);
}

}  // namespace qvd::lxc
