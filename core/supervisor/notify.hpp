// What systemd wants to know of a Type=notify service; nothing happens without systemd.
#pragma once

#include "base/clock.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace qvd::supervisor {

class ServiceNotifier {
public:
    // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    ServiceNotifier();

    // Lines such as "READY=1\nSTATUS=...". A socket that does not answer is no error of ours.
    void send(std::string_view state) const;
    // How often to send WATCHDOG=1; nothing if systemd does not watch.
    [[nodiscard]] std::optional<Milliseconds> watchdog() const { return watchdog_; }

private:
    std::string socket_;
    std::optional<Milliseconds> watchdog_;
};

}  // namespace qvd::supervisor
