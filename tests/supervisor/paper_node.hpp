// A crew without processes: the test plays the roles.
#pragma once

#include "base/log.hpp"
#include "supervisor/crew.hpp"

#include <doctest/doctest.h>

#include <map>
#include <utility>
#include <vector>

namespace qvd::supervisor::test {

using net::Role;

// Starts nothing: holds the other end of each control socket instead.
class PaperLauncher final : public Launcher {
public:
    Result<Launched> launch(Role role, const std::string& instance) override {
        if (broken) return Error{ErrorKind::unavailable, "process.start", "cannot fork"};
        auto ends = net::role_sockets().value();
        const pid_t pid = ++last_pid;
        links.emplace(pid, net::RoleLink(std::move(ends.second), role, instance));
        return Launched{pid, std::move(ends.first)};
    }
    void signal(pid_t pid, int number) override { signals[pid] = number; }

    std::map<pid_t, net::RoleLink> links;
    std::map<pid_t, int> signals;
    pid_t last_pid = 1000;
    bool broken = false;
};

struct Node {
    FakeClock clock;
    PaperLauncher launcher;
    Crew crew;
    log::Capture log;

    explicit Node(unsigned workers = 1, bool database = false)
        : crew(clock, launcher, settings(workers, database)) {
        crew.reconcile();
    }

    static CrewSettings settings(unsigned workers, bool database) {
        CrewSettings settings;
        settings.workers = workers;
        settings.database = database;
        return settings;
    }

    // The pids of a role, oldest first.
    std::vector<pid_t> pids(Role role) {
        std::vector<pid_t> found;
        for (const Member& member : crew.members())
            if (member.role == role) found.push_back(member.pid);
        return found;
    }
    pid_t pid(Role role) {
        REQUIRE(pids(role).size() == 1);
        return pids(role).front();
    }
    void report(pid_t pid, const net::Report& what) {
        REQUIRE(launcher.links.at(pid).send(what).ok());
        crew.reconcile();
    }
    void all_ready() {
        std::vector<pid_t> everybody;
        for (const Member& member : crew.members()) everybody.push_back(member.pid);
        for (const pid_t one : everybody)
            if (!leaving(one)) report(one, net::report::Ready{});
    }
    bool leaving(pid_t pid) {
        for (const Member& member : crew.members())
            if (member.pid == pid) return member.leaving;
        return true;
    }
    void ends(pid_t pid, int wait_status) {
        launcher.links.erase(pid);
        REQUIRE(crew.child_ended(pid, wait_status));
        crew.reconcile();
    }
    // All orders that wait for a role.
    std::vector<net::Order> orders(pid_t pid) {
        std::vector<net::Order> got;
        for (;;) {
            auto order = launcher.links.at(pid).try_receive();
            REQUIRE(order.ok());
            if (!*order) return got;
            got.push_back(std::move(**order));
        }
    }
    template <class What>
    int count(pid_t pid) {
        int number = 0;
        for (const net::Order& order : orders(pid))
            if (std::holds_alternative<What>(order.what)) ++number;
        return number;
    }
};

}  // namespace qvd::supervisor::test
