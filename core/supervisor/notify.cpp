#include "supervisor/notify.hpp"

#include "base/text.hpp"
#include "base/unique_fd.hpp"
#include "supervisor/socket_address.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace qvd::supervisor {

namespace {

std::string variable(const char* name) {
    const char* const value = ::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
    return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

ServiceNotifier::ServiceNotifier() : socket_(variable("NOTIFY_SOCKET")) {
    const auto microseconds = text::to_integer(variable("WATCHDOG_USEC"));
    const auto pid = text::to_integer(variable("WATCHDOG_PID"));
    if (microseconds && *microseconds > 0 && (!pid || *pid == ::getpid()))
        watchdog_ = Milliseconds{*microseconds / 2000};
}

void ServiceNotifier::send(std::string_view state) const {
    sockaddr_un address{};
    if (socket_.empty() || socket_.size() >= sizeof address.sun_path) return;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket_.data(), socket_.size());
    if (address.sun_path[0] == '@') address.sun_path[0] = '\0';  // the abstract name space
    const UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (!fd) return;
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    (void)::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                   as_sockaddr(address), length);
}

}  // namespace qvd::supervisor
