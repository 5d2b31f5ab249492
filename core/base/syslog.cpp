#include "base/syslog.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace qvd {

namespace {

std::string local_time() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    std::array<char, 32> text{};
    if (::localtime_r(&now, &parts) == nullptr) return {};
    const std::size_t length = std::strftime(text.data(), text.size(), "%b %e %T", &parts);
    return {text.data(), length};
}

}  // namespace

Syslog::Syslog(std::string program, std::string path)
    : program_(std::move(program)),
      path_(std::move(path)),
      socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    (void)connect();  // it may come later
}

bool Syslog::connect() const {
    sockaddr_un address{};
    if (path_.size() >= sizeof address.sun_path) return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path_.data(), path_.size());
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): how POSIX passes addresses
    const auto* const generic = reinterpret_cast<const sockaddr*>(&address);
    return ::connect(socket_.get(), generic, sizeof address) == 0;
}

std::string Syslog::packet(int severity, std::string_view line) const {
    return "<" + std::to_string(LOG_DAEMON + severity) + ">" + local_time() + " " + program_ + "[" +
           std::to_string(::getpid()) + "]: " + std::string(line);
}

bool Syslog::send(const std::string& packet) const {
    constexpr int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    if (::send(socket_.get(), packet.data(), packet.size(), flags) >= 0) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EMSGSIZE)
        return false;
    // It went down; another one may listen there by now.
    return connect() && ::send(socket_.get(), packet.data(), packet.size(), flags) >= 0;
}

void Syslog::write(int severity, std::string_view line) {
    if (lost_ > 0) {
        const std::string words = "event=log.lost lines=" + std::to_string(lost_) +
                                  ": the system's log did not take them";
        if (send(packet(LOG_WARNING, words))) lost_ = 0;
    }
    if (!send(packet(severity, line))) ++lost_;
}

}  // namespace qvd
