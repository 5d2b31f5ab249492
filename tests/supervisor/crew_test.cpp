#include "tests/supervisor/paper_node.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <csignal>

using namespace qvd;
using namespace qvd::supervisor;
using namespace qvd::supervisor::test;

namespace {

constexpr int exited_0 = 0;
constexpr int killed_9 = 9;

}  // namespace

TEST_CASE("a node starts a broker, an hkd and its workers, and links them to the broker") {
    Node node(2);
    CHECK(node.pids(Role::l7r).size() == 2);
    const auto orders = node.orders(node.pid(Role::hkd));
    REQUIRE(orders.size() == 1);
    CHECK(std::get<net::order::Peer>(orders[0].what).role == Role::broker);
    CHECK(static_cast<bool>(orders[0].fd));
    CHECK(node.count<net::order::Peer>(node.pid(Role::broker)) == 3);
}

TEST_CASE("the two ends of a link are one connection") {
    Node node(1);
    auto worker = node.orders(node.pid(Role::l7r));
    auto broker = node.orders(node.pid(Role::broker));
    REQUIRE(worker.size() == 1);
    for (const net::Order& order : broker) {
        if (std::get<net::order::Peer>(order.what).role != Role::l7r) continue;
        REQUIRE(::send(order.fd.get(), "x", 1, 0) == 1);
        char got = 0;
        CHECK(::recv(worker[0].fd.get(), &got, 1, MSG_DONTWAIT) == 1);
        CHECK(got == 'x');
        return;
    }
    FAIL("the broker got no link to the worker");
}

TEST_CASE("workers are given the listening socket, also when it changes") {
    Node node(1);
    node.orders(node.pid(Role::l7r));
    const UniqueFd null{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    node.crew.listen_on(null.get(), "*:1");
    CHECK(node.count<net::order::Listen>(node.pid(Role::l7r)) == 1);
    node.ends(node.pid(Role::l7r), killed_9);
    node.clock.advance(Milliseconds{100});
    node.crew.reconcile();
    CHECK(node.count<net::order::Listen>(node.pid(Role::l7r)) == 1);
}

TEST_CASE("with an embedded database broker and hkd wait for it") {
    Node node(1, true);
    CHECK(node.pids(Role::broker).empty());
    CHECK(node.pids(Role::hkd).empty());
    CHECK(node.pids(Role::l7r).size() == 1);
    node.report(node.pid(Role::database), net::report::Ready{});
    CHECK(node.pids(Role::broker).size() == 1);
    CHECK(node.pids(Role::hkd).size() == 1);
    node.ends(node.pid(Role::database), killed_9);
    CHECK(node.pids(Role::broker).size() == 1);
}

TEST_CASE("a role that died is started again after a delay that grows while it dies young") {
    Node node(1);
    for (const int delay : {100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000}) {
        node.ends(node.pid(Role::hkd), killed_9);
        node.clock.advance(Milliseconds{delay - 1});
        node.crew.reconcile();
        CHECK(node.pids(Role::hkd).empty());
        CHECK(node.crew.next_deadline() == node.clock.now() + Milliseconds{1});
        node.clock.advance(Milliseconds{1});
        node.crew.reconcile();
        CHECK(node.pids(Role::hkd).size() == 1);
        // The others go on living.
        for (const Role role : {Role::broker, Role::l7r})
            node.report(node.pid(role), net::report::Alive{120'000, 0, 0, {}});
    }
    CHECK(node.crew.restarts(Role::hkd) == 11);
}

TEST_CASE("a long life makes the delay short again") {
    Backoff backoff(Milliseconds{100}, Milliseconds{30'000});
    CHECK(backoff.after(Milliseconds{0}) == Milliseconds{100});
    CHECK(backoff.after(Milliseconds{0}) == Milliseconds{200});
    CHECK(backoff.after(Milliseconds{30'000}) == Milliseconds{100});
}

TEST_CASE("a program that cannot be started is tried again later") {
    Node node(1);
    node.launcher.broken = true;
    node.ends(node.pid(Role::hkd), killed_9);
    node.clock.advance(Milliseconds{100});
    node.crew.reconcile();
    CHECK(node.log.contains("role.start_failed"));
    node.launcher.broken = false;
    node.clock.advance(Milliseconds{200});
    node.crew.reconcile();
    CHECK(node.pids(Role::hkd).size() == 1);
}

TEST_CASE("a role without a sign of life is killed") {
    Node node(1);
    const pid_t hkd = node.pid(Role::hkd);
    node.report(hkd, net::report::Alive{5'000, 0, 0, {}});
    node.clock.advance(Milliseconds{4'999});
    node.crew.reconcile();
    CHECK(node.launcher.signals.empty());
    node.clock.advance(Milliseconds{1});
    node.crew.reconcile();
    CHECK(node.launcher.signals == std::map<pid_t, int>{{hkd, SIGKILL}});
    CHECK(node.log.contains("event=role.silent role=hkd"));
}

TEST_CASE("beats that wait to be read count even if the supervisor is late") {
    Node node(1);
    const pid_t hkd = node.pid(Role::hkd);
    node.report(hkd, net::report::Alive{5'000, 0, 0, {}});
    REQUIRE(node.launcher.links.at(hkd).send(net::report::Alive{5'000, 0, 0, {}}).ok());
    node.clock.advance(Milliseconds{20'000});
    node.crew.reconcile();
    CHECK_FALSE(node.launcher.signals.contains(hkd));
}

TEST_CASE("a role whose call is stuck past its deadline is killed and the call named") {
    Node node(1);
    const pid_t broker = node.pid(Role::broker);
    node.report(broker, net::report::Alive{5'000, 3, 30'000, "authenticator ldap: authenticate"});
    CHECK(node.launcher.signals.empty());
    node.report(broker, net::report::Alive{5'000, 3, 30'001, "authenticator ldap: authenticate"});
    CHECK(node.launcher.signals == std::map<pid_t, int>{{broker, SIGKILL}});
    CHECK(node.log.contains("authenticator ldap: authenticate"));
}

TEST_CASE("a role cannot promise its next sign of life for longer than two minutes") {
    Node node(1);
    const pid_t hkd = node.pid(Role::hkd);
    node.report(hkd, net::report::Alive{0xFFFFFFFFU, 0, 0, {}});
    node.clock.advance(Milliseconds{120'000});
    node.crew.reconcile();
    CHECK(node.launcher.signals.contains(hkd));
}

TEST_CASE("a role that sends no message of the protocol is killed") {
    Node node(1);
    const pid_t worker = node.pid(Role::l7r);
    REQUIRE(::send(node.launcher.links.at(worker).fd(), "rubbish", 7, 0) == 7);
    node.crew.reconcile();
    CHECK(node.launcher.signals == std::map<pid_t, int>{{worker, SIGKILL}});
}

TEST_CASE("a new broker is linked to every worker and to hkd") {
    Node node(2);
    for (const Member& member : node.crew.members()) (void)node.orders(member.pid);
    node.ends(node.pid(Role::broker), killed_9);
    node.clock.advance(Milliseconds{100});
    node.crew.reconcile();
    CHECK(node.count<net::order::Peer>(node.pid(Role::broker)) == 3);
    CHECK(node.count<net::order::Peer>(node.pid(Role::hkd)) == 1);
    for (const pid_t worker : node.pids(Role::l7r))
        CHECK(node.count<net::order::Peer>(worker) == 1);
}

TEST_CASE("a reload puts workers and broker beside the old ones and hkd after it") {
    Node node(1);
    node.all_ready();
    const pid_t old_worker = node.pid(Role::l7r);
    const pid_t old_broker = node.pid(Role::broker);
    const pid_t old_hkd = node.pid(Role::hkd);
    for (const Member& member : node.crew.members()) (void)node.orders(member.pid);
    node.crew.replace_all();
    node.crew.reconcile();
    CHECK(node.pids(Role::l7r).size() == 2);
    CHECK(node.pids(Role::broker).size() == 2);
    CHECK(node.pids(Role::hkd) == std::vector<pid_t>{old_hkd});
    CHECK(node.count<net::order::Drain>(old_hkd) == 1);
    CHECK_FALSE(node.leaving(old_worker));
    CHECK(node.crew.replacing());

    node.ends(old_hkd, exited_0);
    CHECK(node.pids(Role::hkd).size() == 1);
    node.report(node.pids(Role::broker)[1], net::report::Ready{});
    CHECK_FALSE(node.leaving(old_broker));
    CHECK_FALSE(node.leaving(old_worker));
    node.report(node.pids(Role::l7r)[1], net::report::Ready{});
    CHECK(node.leaving(old_worker));
    CHECK(node.leaving(old_broker));

    // The old broker only finishes what it has begun: what the old worker's clients ask for now is
    // the new one's.
    CHECK(node.count<net::order::Peer>(old_worker) == 1);
    node.ends(old_broker, exited_0);
    CHECK(node.count<net::order::Peer>(old_worker) == 0);
    node.ends(old_worker, exited_0);
    CHECK_FALSE(node.crew.replacing());
    CHECK(node.crew.restarts(Role::l7r) == 0);
}

TEST_CASE(
    "processes that never became ready do not pile up when a node is reloaded again and again") {
    Node node(1);
    node.all_ready();
    const pid_t serving = node.pid(Role::l7r);
    for (int i = 0; i < 5; ++i) {
        node.crew.replace_all();
        node.crew.reconcile();
        for (const Role role : {Role::l7r, Role::broker, Role::hkd})
            for (const pid_t pid : node.pids(role))
                if (node.leaving(pid)) node.ends(pid, exited_0);
        node.report(node.pids(Role::broker).back(), net::report::Ready{});
        node.report(node.pid(Role::hkd), net::report::Ready{});
    }
    CHECK(node.pids(Role::l7r).size() == 2);
    CHECK(node.pids(Role::l7r).front() == serving);
    CHECK_FALSE(node.leaving(serving));
    CHECK(node.pids(Role::broker).size() == 2);
}

TEST_CASE("a draining worker without a limit is left alone, one with a limit is killed") {
    for (const int limit : {0, 1000}) {
        Node node(1);
        auto settings = Node::settings(1, false);
        settings.worker_drain = Milliseconds{limit};
        node.crew.change(settings);
        node.all_ready();
        const pid_t old_worker = node.pid(Role::l7r);
        node.crew.replace_all();
        node.crew.reconcile();
        node.all_ready();
        REQUIRE(node.leaving(old_worker));
        for (int i = 0; i < 60; ++i) {
            node.clock.advance(Milliseconds{1000});
            std::vector<pid_t> alive;
            for (const Member& member : node.crew.members()) alive.push_back(member.pid);
            for (const pid_t pid : alive) node.report(pid, net::report::Alive{});
        }
        CHECK(node.launcher.signals.contains(old_worker) == (limit != 0));
    }
}

TEST_CASE("fewer workers make the surplus ones drain") {
    Node node(3);
    node.all_ready();
    node.crew.change(Node::settings(1, false));
    int leaving = 0;
    for (const pid_t worker : node.pids(Role::l7r)) leaving += node.leaving(worker) ? 1 : 0;
    CHECK(leaving == 2);
}

TEST_CASE("stop lets workers and hkd go first, then the broker, then the database") {
    Node node(1, true);
    node.report(node.pid(Role::database), net::report::Ready{});
    node.all_ready();
    node.crew.stop(Milliseconds{10'000}, std::nullopt);
    CHECK(node.count<net::order::Drain>(node.pid(Role::l7r)) == 1);
    CHECK(node.count<net::order::Stop>(node.pid(Role::hkd)) == 1);
    CHECK(node.count<net::order::Stop>(node.pid(Role::broker)) == 0);
    node.ends(node.pid(Role::l7r), exited_0);
    node.ends(node.pid(Role::hkd), exited_0);
    CHECK(node.count<net::order::Stop>(node.pid(Role::broker)) == 1);
    CHECK(node.count<net::order::Stop>(node.pid(Role::database)) == 0);
    node.ends(node.pid(Role::broker), exited_0);
    CHECK(node.count<net::order::Stop>(node.pid(Role::database)) == 1);
    CHECK_FALSE(node.crew.gone());
    node.ends(node.pid(Role::database), exited_0);
    CHECK(node.crew.gone());
}

TEST_CASE("a node that no longer has a database of its own stops it") {
    Node node(1, true);
    node.report(node.pid(Role::database), net::report::Ready{});
    node.all_ready();
    node.crew.change(Node::settings(1, false));
    node.crew.replace_all();
    node.crew.reconcile();
    CHECK(node.count<net::order::Stop>(node.pid(Role::database)) == 1);
    node.ends(node.pid(Role::database), exited_0);
    CHECK(node.pids(Role::database).empty());
}

TEST_CASE("who does not leave at a stop is killed") {
    Node node(1);
    node.crew.stop(Milliseconds{1'000}, std::nullopt);
    const pid_t worker = node.pid(Role::l7r);
    node.clock.advance(Milliseconds{6'000});
    node.crew.reconcile();
    CHECK(node.launcher.signals.contains(worker));
}

TEST_CASE("stop with VMs has hkd evacuate, and another hkd if that one dies of it") {
    Node node(1);
    node.crew.stop(Milliseconds{1'000}, Milliseconds{60'000});
    const pid_t first = node.pid(Role::hkd);
    CHECK(node.count<net::order::Evacuate>(first) == 1);
    CHECK(node.count<net::order::Stop>(node.pid(Role::broker)) == 0);
    node.ends(node.pid(Role::l7r), exited_0);
    node.ends(first, killed_9);
    node.clock.advance(Milliseconds{100});
    node.crew.reconcile();
    const pid_t second = node.pid(Role::hkd);
    CHECK(node.count<net::order::Evacuate>(second) == 1);
    node.ends(second, exited_0);
    CHECK(node.count<net::order::Stop>(node.pid(Role::broker)) == 1);
    node.ends(node.pid(Role::broker), exited_0);
    CHECK(node.crew.gone());
}

TEST_CASE("an evacuation that takes too long is given up and said so") {
    Node node(1);
    node.launcher.broken = true;
    node.ends(node.pid(Role::hkd), killed_9);
    node.crew.stop(Milliseconds{1'000}, Milliseconds{10'000});
    node.ends(node.pid(Role::l7r), exited_0);
    node.clock.advance(Milliseconds{10'000});
    node.crew.reconcile();
    CHECK(node.log.contains("node.evacuate_failed"));
    node.ends(node.pid(Role::broker), exited_0);
    CHECK(node.crew.gone());
}

TEST_CASE("a node is complete when each role is ready or has said what it lacks") {
    Node node(1);
    CHECK_FALSE(node.crew.complete());
    node.report(node.pid(Role::hkd), net::report::Ready{});
    CHECK_FALSE(node.crew.complete());
    node.report(node.pid(Role::broker), net::report::Status{"unconfigured: no certificate"});
    CHECK(node.crew.complete());
    CHECK(node.log.contains("unconfigured: no certificate"));
}
