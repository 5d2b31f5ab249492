#include "broker/role.hpp"

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/log_file.hpp"
#include "broker/broker.hpp"
#include "broker/spawn.hpp"
#include "store/postgres.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>

namespace qvd::broker {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds beat = net::RoleLink::beat;

void beat_now(net::RoleLink& link, Broker& broker) {
    net::report::Alive alive;
    alive.load = static_cast<std::uint32_t>(broker.load());
    const plugin::Overdue overdue = broker.host().longest_overdue();
    alive.overdue_ms = static_cast<std::uint32_t>(overdue.by.count());
    alive.overdue_call = overdue.call;
    (void)link.send(alive);
}

asio::awaitable<void> keep_beating(net::RoleLink& link, Broker& broker, asio::io_context& loop) {
    asio::steady_timer timer(loop);
    for (;;) {
        beat_now(link, broker);
        timer.expires_after(beat / 2);
        const auto [problem] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (problem) co_return;
    }
}

void end(Broker& broker, asio::io_context& loop) {
    broker.stop();
    loop.stop();
}

asio::awaitable<void> drain(Broker& broker, asio::io_context& loop) {
    co_await broker.drain();
    end(broker, loop);
}

// False: the role is to end.
bool obey(net::Order order, Broker& broker, asio::io_context& loop) {
    if (auto* peer = std::get_if<net::order::Peer>(&order.what)) {
        if (peer->role == net::Role::l7r) broker.add_worker(std::move(order.fd));
        if (peer->role == net::Role::hkd) broker.add_hkd(std::move(order.fd));
        return true;
    }
    if (std::holds_alternative<net::order::Log>(order.what)) log::continue_in(std::move(order.fd));
    // The supervisor enforces the limit.
    if (std::holds_alternative<net::order::Drain>(order.what))
        spawn_contained(loop.get_executor(), drain(broker, loop));
    return !std::holds_alternative<net::order::Stop>(order.what);
}

asio::awaitable<void> listen_to_supervisor(net::RoleLink& link, Broker& broker,
                                           asio::io_context& loop) {
    // One of its own: Asio closes what it watches.
    const int control = ::fcntl(link.fd(), F_DUPFD_CLOEXEC, 0);  // NOLINT(*-vararg): fcntl is
    if (control < 0)
        log::error("broker.no_descriptor", {}, "the supervisor's orders cannot be heard: it ends");
    asio::posix::stream_descriptor socket(loop);
    if (control >= 0) socket.assign(control);
    for (bool going = control >= 0; going;) {
        const auto [problem] = co_await socket.async_wait(asio::posix::stream_descriptor::wait_read,
                                                          asio::as_tuple(asio::use_awaitable));
        while (going && !problem) {
            auto order = link.try_receive();
            if (!order.ok()) {
                going = false;
            } else if (!*order) {
                break;
            } else {
                going = obey(std::move(**order), broker, loop);
            }
        }
        if (problem) going = false;
    }
    end(broker, loop);
}

}  // namespace

int run(net::RoleLink link, config::View view, plugin::Catalogue installed,
        VmAddresses vm_addresses) {
    EventLoop loop;
    auto store = store::open_postgres(loop.get_executor(), view, store::Role::broker);
    if (!store.ok()) {
        log::error("broker.store", {{"code", store.error().code()}}, store.error().sentence());
        (void)link.send(net::report::Exiting{store.error().sentence()});
        return 1;
    }
    const SteadyClock clock;
    Broker broker(loop, link, std::move(view), std::move(store).value(), clock,
                  std::move(installed));
    broker.host().vm_addresses = [&broker, &vm_addresses] {
        return vm_addresses(broker.host().view());
    };
    spawn_contained(loop.get_executor(), keep_beating(link, broker, loop));
    spawn_contained(loop.get_executor(), listen_to_supervisor(link, broker, loop));
    spawn_contained(loop.get_executor(), broker.run());
    log::info("broker.started", {{"instance", link.instance()}}, "");
    loop.run();
    // What still waits refers to the broker, its store and its plugins.
    loop.end_all();
    log::info("broker.ended", {{"instance", link.instance()}}, "");
    return 0;
}

}  // namespace qvd::broker
