#include "supervisor/database_role.hpp"

#include "base/log.hpp"
#include "base/log_file.hpp"

#include <poll.h>

#include <algorithm>

namespace qvd::supervisor {

namespace {

// The first start of a database makes it, which takes this long on a slow disk.
constexpr std::uint32_t longest_start_ms = 120'000;
constexpr std::chrono::milliseconds longest_pause{10'000};

class DatabaseRole {
public:
    DatabaseRole(net::RoleLink link, DatabaseServer& server)
        : link_(std::move(link)), server_(server) {}

    int run() {
        for (;;) {
            keep_running();
            pollfd control{link_.fd(), POLLIN, 0};
            (void)::poll(&control, 1, static_cast<int>(pause_.count()));
            auto order = link_.try_receive();
            if (!order.ok()) return 0;
            if (!*order) continue;
            if (std::holds_alternative<net::order::Drain>((*order)->what)) return 0;
            if (std::holds_alternative<net::order::Stop>((*order)->what)) return stop();
            if (std::holds_alternative<net::order::Log>((*order)->what))
                log::continue_in(std::move((*order)->fd));
        }
    }

private:
    void keep_running() {
        if (server_.running() && ready_) return beat(15'000);
        ready_ = false;
        beat(longest_start_ms);
        const auto started = server_.ensure_running();
        beat(15'000);
        if (started.ok()) {
            ready_ = true;
            pause_ = net::RoleLink::beat;
            (void)link_.send(net::report::Ready{});
            return;
        }
        pause_ = std::min(longest_pause, 2 * pause_);
        (void)link_.send(net::report::Status{started.error().sentence()});
    }

    int stop() {
        beat(longest_start_ms);
        const auto stopped = server_.stop();
        if (stopped.ok()) return 0;
        log::error("database.stop_failed", {}, stopped.error().sentence());
        return 1;
    }

    void beat(std::uint32_t valid_ms) {
        net::report::Alive alive;
        alive.valid_ms = valid_ms;
        (void)link_.send(alive);
    }

    net::RoleLink link_;
    DatabaseServer& server_;
    bool ready_ = false;
    std::chrono::milliseconds pause_ = net::RoleLink::beat;
};

}  // namespace

int run_database(net::RoleLink link, DatabaseServer& server) {
    return DatabaseRole(std::move(link), server).run();
}

}  // namespace qvd::supervisor
