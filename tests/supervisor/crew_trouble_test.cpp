// A crew with a member that is not as it should be.
#include "tests/supervisor/paper_node.hpp"

#include <doctest/doctest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace qvd;
using namespace qvd::supervisor;
using namespace qvd::supervisor::test;

TEST_CASE("a role that reports without end does not keep the others waiting, and is killed") {
    Node node(1);
    const pid_t flooder = node.pid(Role::l7r);
    const pid_t hkd = node.pid(Role::hkd);
    const auto flood = [&] {
        int sent = 0;
        while (node.launcher.links.at(flooder).send(net::report::Alive{}).ok()) ++sent;
        return sent;
    };
    CHECK(flood() > 64);
    REQUIRE(node.launcher.links.at(hkd).send(net::report::Ready{}).ok());
    node.crew.reconcile();
    // Its turn ended long before its reports, so that hkd had its own, and the next goes on there.
    CHECK(node.log.contains("event=role.ready role=hkd"));
    CHECK(flood() == 64);
    for (int turn = 0; turn < 20 && node.launcher.signals.empty(); ++turn) {
        flood();
        node.crew.reconcile();
    }
    CHECK(node.launcher.signals == std::map<pid_t, int>{{flooder, SIGKILL}});
    CHECK(node.log.contains("event=role.floods role=l7r"));
}

TEST_CASE("reports that have waited while the supervisor was held up are no flood") {
    Node node(1);
    const pid_t hkd = node.pid(Role::hkd);
    for (int second = 0; second < 100; ++second) {
        while (node.launcher.links.at(hkd).send(net::report::Alive{120'000, 0, 0, {}}).ok())
            continue;
        for (int turn = 0; turn < 10; ++turn) node.crew.reconcile();
        node.clock.advance(Milliseconds{1000});
    }
    CHECK_FALSE(node.launcher.signals.contains(hkd));
}

TEST_CASE("a role whose link to the broker breaks gets another, but not without end") {
    Node node(1);
    for (const Role role : {Role::l7r, Role::hkd}) {
        net::RoleLink& link = node.launcher.links.at(node.pid(role));
        const auto peers = [&link] {
            int count = 0;
            while (const auto order = link.try_receive().value())
                count += std::holds_alternative<net::order::Peer>(order->what) ? 1 : 0;
            return count;
        };
        std::string broker;
        for (const Member& member : node.crew.members())
            if (member.role == Role::broker) broker = member.instance;
        CHECK(peers() == 1);
        REQUIRE(link.send(net::report::Unlinked{"another"}).ok());
        node.crew.reconcile();
        CHECK(peers() == 0);
        REQUIRE(link.send(net::report::Unlinked{broker}).ok());
        node.crew.reconcile();
        CHECK(peers() == 0);
        node.clock.advance(Milliseconds{1000});
        node.crew.reconcile();
        CHECK(peers() == 1);
        node.crew.reconcile();
        CHECK(peers() == 0);
    }
}

TEST_CASE("a rescued worker gets the broker and goes when its sessions are over") {
    Node node(1);
    auto ends = net::role_sockets().value();
    net::RoleLink worker(std::move(ends.second), Role::l7r, "l7r-0-old");
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    Member member;
    member.instance = "l7r-0-old";
    member.pid = child;
    member.process.reset(static_cast<int>(::syscall(SYS_pidfd_open, child, 0)));
    REQUIRE(static_cast<bool>(member.process));
    member.control = std::move(ends.first);
    node.crew.rescue(std::move(member));
    node.crew.reconcile();
    int drains = 0;
    int brokers = 0;
    for (;;) {
        const auto order = worker.try_receive().value();
        if (!order) break;
        if (std::holds_alternative<net::order::Drain>(order->what)) ++drains;
        if (std::holds_alternative<net::order::Peer>(order->what)) ++brokers;
    }
    CHECK(drains == 1);
    CHECK(brokers == 1);
    // It takes nobody's place and is not counted as being replaced.
    CHECK(node.pids(Role::l7r).size() == 2);
    CHECK_FALSE(node.crew.replacing());

    // One that hangs is killed, though it is not our child.
    node.clock.advance(Milliseconds{30'000});
    node.crew.reconcile();
    int wait_status = 0;
    REQUIRE(::waitpid(child, &wait_status, 0) == child);
    CHECK(WTERMSIG(wait_status) == SIGKILL);
    CHECK_FALSE(node.launcher.signals.contains(child));
    node.crew.reconcile();
    CHECK(node.pids(Role::l7r).size() == 1);
    CHECK(node.crew.restarts(Role::l7r) == 0);
}
