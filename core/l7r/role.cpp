#include "l7r/role.hpp"

#include "base/log.hpp"
#include "base/log_file.hpp"
#include "base/overloaded.hpp"
#include "l7r/loop.hpp"
#include "l7r/worker.hpp"

#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <csignal>
#include <utility>

namespace qvd::l7r {

namespace {

constexpr const char* no_memory = "the kernel has no memory to watch the control socket";

// Between the supervisor's orders and the worker.
class RoleProcess {
public:
    RoleProcess(net::RoleLink link, bool kernel_tls, Milliseconds broker_patience)
        : link_(std::move(link)),
          worker_(loop_,
                  {link_.instance(), kernel_tls, broker_patience, [this] { report_ready(); },
                   [this](const std::string& text) { report(net::report::Status{text}); },
                   [this](const std::string& broker) { report(net::report::Unlinked{broker}); }}),
          watch_(loop_, [this](std::uint32_t /*events*/) { receive(); }),
          lifeline_watch_(loop_, [this](std::uint32_t /*events*/) { on_lifeline(); }),
          beat_(loop_, [this] { beat(); }) {}

    int run() {
        if (!watch_supervisor()) return 1;
        while (!worker_.finished()) loop_.turn();
        report(net::report::Exiting{"all its connections have ended"});
        return 0;
    }

private:
    bool watch_supervisor() {
        if (!watch_.watch(link_.fd(), EPOLLIN)) return false;
        beat();
        return true;
    }

    void receive() {
        while (true) {
            Result<std::optional<net::Order>> order = link_.try_receive();
            if (!order.ok()) {
                on_lost(order.error());
                return;
            }
            if (!order.value()) return;
            obey(*std::move(order).value());
        }
    }

    void obey(net::Order order) {
        std::visit(Overloaded{[&](const net::order::Peer& peer) {
                                  if (peer.role == net::Role::broker)
                                      worker_.add_broker(std::move(order.fd), peer.instance);
                              },
                              [&](const net::order::Listen& listen) {
                                  log::info("l7r.listen", {{"address", listen.address}},
                                            "accepting here once configured");
                                  worker_.listen(std::move(order.fd));
                              },
                              [&](const net::order::Drain& drain) {
                                  log::info("l7r.drain", {{"connections", worker_.connections()}},
                                            "takes no new connections");
                                  worker_.drain(Milliseconds(drain.timeout_ms));
                              },
                              [&](const net::order::Stop& /*stop*/) { worker_.stop("stopped"); },
                              [&](const net::order::Evacuate& /*not for l7r*/) {},
                              [&](const net::order::Lifeline& /*lifeline*/) {
                                  lifeline_watch_.forget();
                                  lifeline_ = std::move(order.fd);
                                  if (!lifeline_watch_.watch(lifeline_.get(), EPOLLIN))
                                      log::warn("l7r.no_lifeline", {}, no_memory);
                              },
                              [&](const net::order::Log& /*log*/) {
                                  log::continue_in(std::move(order.fd));
                              }},
                   order.what);
    }

    // Sessions outlive the supervisor; its successor makes new workers, and comes by the lifeline.
    void on_lost(const Error& why) {
        log::warn("l7r.supervisor.lost", {{"connections", worker_.connections()}}, why.sentence());
        watch_.forget();
        lost_ = true;
        beat_.stop();
        worker_.drain(Milliseconds{0});
    }

    // The next supervisor. It may be here before the end of the old one was seen.
    void on_lifeline() {
        constexpr int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
        UniqueFd newest;
        while (UniqueFd one{::accept4(lifeline_.get(), nullptr, nullptr, flags)})
            newest = std::move(one);
        if (!newest) return;
        log::info("l7r.supervisor.back", {{"connections", worker_.connections()}},
                  "another supervisor looks after this worker");
        watch_.forget();
        link_ = net::RoleLink(std::move(newest), net::Role::l7r, link_.instance());
        lost_ = false;
        if (!worker_.draining()) worker_.drain(Milliseconds{0});
        if (!watch_supervisor()) on_lost({ErrorKind::unavailable, "role_link.watch", no_memory});
    }

    void beat() {
        net::report::Alive alive;
        alive.load = static_cast<std::uint32_t>(worker_.relays());
        report(alive);
        if (!lost_) beat_.start(net::RoleLink::beat);
    }

    void report_ready() { report(net::report::Ready{}); }

    // A beat that the supervisor has no room for is followed by the next; its loss is seen when
    // receiving.
    void report(const net::Report& what) {
        if (!lost_) static_cast<void>(link_.send(what).ok());
    }

    Loop loop_;
    net::RoleLink link_;
    bool lost_ = false;
    Worker worker_;
    Watch watch_;
    UniqueFd lifeline_;
    Watch lifeline_watch_;
    Timer beat_;
};

}  // namespace

int run(net::RoleLink link, bool kernel_tls, Milliseconds broker_patience) {
    // kTLS lets OpenSSL write to the sockets itself, without MSG_NOSIGNAL.
    ::signal(SIGPIPE, SIG_IGN);  // NOLINT(cert-err33-c): cannot fail for SIGPIPE
    OPENSSL_init_ssl(0, nullptr);
    return RoleProcess(std::move(link), kernel_tls, broker_patience).run();
}

}  // namespace qvd::l7r
