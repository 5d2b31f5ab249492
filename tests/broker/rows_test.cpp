// Rows of sessions: ended, handed on, reset, whatever dies around them.
#include "broker/session_rows.hpp"
#include "broker/spawn.hpp"
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

std::shared_ptr<Agent> willing_agent(Farm& farm) {
    auto agent = std::make_shared<Agent>(farm.loop, &willing);
    agent->begin();
    farm.run_vm(agent->port());
    return agent;
}

VmId add_vm(Farm& farm, const std::string& address) {
    const auto osf = farm.run(farm.store->osfs()).value().at(0).osf.id;
    return farm.run(farm.store->add_vm({address, farm.alice, osf, "default", address, "", ""}))
        .value();
}

Session hold(Farm& farm, VmId vm, const std::string& worker) {
    return *farm.run(farm.store->acquire_session({vm, farm.alice, "192.0.2.1", farm.node, worker}))
                .value()
                .session;
}

std::vector<std::string> holders(Farm& farm) {
    std::vector<std::string> all;
    const auto rows = farm.run(farm.store->sessions_on(farm.node));
    for (const Session& row : rows.value()) all.push_back(row.worker);
    return all;
}

void connect(Farm& farm, Worker& worker, std::uint64_t request) {
    farm.ask(worker, request, path_of(farm.vm));
    (void)farm.next<net::Link>(worker);
    worker.say(net::Linked{request});
    (void)farm.next<net::Switch>(worker);
}

// From then on nothing is due to be compared any more.
void compare_all(Farm& farm, Worker& worker, VmId free_vm) {
    (void)hold(farm, free_vm, "l7r-8-gone:1");
    worker.say(net::Hello{"l7r-0-x", {}, {}});
    CHECK(farm.until([&] { return farm.rows() == 0; }));
}

boost::asio::awaitable<void> drain(broker::Broker& broker, std::shared_ptr<bool> done) {
    co_await broker.drain();
    *done = true;
}

}  // namespace

TEST_CASE("A session that ends while the database is away is ended once that is back") {
    Farm farm;
    const auto agent = willing_agent(farm);
    Worker worker(*farm.broker, "l7r-0-x");
    connect(farm, worker, 1);
    CHECK(farm.rows() == 1);
    log::Capture log;
    farm.store->fail_with_unavailable(true);
    worker.say(net::Ended{1, 0, 0, 0, "client closed"});
    CHECK(farm.until([&] { return log.contains("session.not_ended"); }));
    CHECK(farm.broker->load() == 0);
    farm.store->fail_with_unavailable(false);
    CHECK(farm.until([&] { return farm.rows() == 0; }));
}

TEST_CASE("A row that nobody holds does not keep the next client waiting") {
    Farm farm;
    const auto agent = willing_agent(farm);
    Worker worker(*farm.broker, "l7r-0-x");
    const VmId other = add_vm(farm, "10.3.15.8");
    compare_all(farm, worker, other);
    compare_all(farm, worker, other);
    (void)hold(farm, farm.vm, "l7r-0-x:77");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.next<net::Link>(worker).request == 1);
}

TEST_CASE("Rows of a worker that runs wait for its hello, however late it is") {
    Farm farm;
    const VmId other = add_vm(farm, "10.3.15.8");
    farm.running.insert("l7r-7-late");
    (void)hold(farm, farm.vm, "l7r-7-late:4");
    (void)hold(farm, other, "l7r-8-gone:1");
    Worker first(*farm.broker, "l7r-0-x");
    CHECK(farm.until([&] { return farm.rows() == 1; }));
    CHECK(holders(farm) == std::vector<std::string>{"l7r-7-late:4"});
    CHECK(farm.broker->load() == 0);
    Worker late(*farm.broker, "l7r-7-late", {4});
    CHECK(farm.until([&] { return farm.broker->load() == 1; }));
    late.say(net::Ended{4, 0, 0, 0, "client closed"});
    CHECK(farm.until([&] { return farm.rows() == 0; }));
}

TEST_CASE("What an earlier broker still looks after is left to it until it is handed over") {
    Farm farm;
    const VmId other = add_vm(farm, "10.3.15.8");
    const VmId third = add_vm(farm, "10.3.15.9");
    (void)hold(farm, farm.vm, "l7r-0-x:4");
    (void)hold(farm, other, "l7r-0-x:5");
    (void)hold(farm, third, "l7r-0-x:6");
    Worker worker(*farm.broker, "l7r-0-x", {}, {4, 5});
    CHECK(farm.until([&] { return farm.rows() == 2; }));
    CHECK(farm.broker->load() == 0);
    // That broker ends: one was a relay, of the other one the client has heard.
    worker.say(net::Hello{"l7r-0-x", {4}, {}});
    CHECK(farm.until([&] { return farm.broker->load() == 1 && farm.rows() == 1; }));
    CHECK(holders(farm) == std::vector<std::string>{"l7r-0-x:4"});
}

TEST_CASE("A hello in pieces counts when it has been told to its end") {
    Farm farm;
    const VmId other = add_vm(farm, "10.3.15.8");
    const VmId third = add_vm(farm, "10.3.15.9");
    farm.running.insert("l7r-0-x");
    (void)hold(farm, farm.vm, "l7r-0-x:4");
    (void)hold(farm, other, "l7r-0-x:5");
    Worker first(*farm.broker, "l7r-1-y");
    Worker worker(*farm.broker, "l7r-0-x");
    CHECK(farm.until([&] { return farm.rows() == 0; }));
    (void)hold(farm, farm.vm, "l7r-0-x:4");
    (void)hold(farm, other, "l7r-0-x:5");
    (void)hold(farm, third, "l7r-8-gone:1");
    worker.say(net::Hello{"l7r-0-x", {4}, {}, true});
    first.say(net::Hello{"l7r-1-y", {}, {}});
    // The first worker's hello lets rows be compared; what the second has not told is left alone.
    CHECK(farm.until([&] { return farm.rows() == 2; }));
    worker.say(net::Hello{"l7r-0-x", {}, {5}, false});
    CHECK(farm.until([&] { return farm.broker->load() == 1; }));
    (void)hold(farm, third, "l7r-8-gone:2");
    worker.say(net::Hello{"l7r-0-x", {}, {}});
    CHECK(farm.until([&] { return farm.rows() == 1; }));
    CHECK(holders(farm) == std::vector<std::string>{"l7r-0-x:4"});
}

TEST_CASE("A draining broker finishes its stories and leaves its relays running") {
    Farm farm;
    const auto agent = willing_agent(farm);
    const VmId other = add_vm(farm, "10.3.15.8");
    Worker worker(*farm.broker, "l7r-0-x");
    connect(farm, worker, 1);
    farm.ask(worker, 2, path_of(other));
    CHECK(farm.until(
        [&] { return !farm.run(farm.store->pending_commands(farm.node)).value().empty(); }));
    const auto drained = std::make_shared<bool>(false);
    broker::spawn_contained(farm.loop.get_executor(), drain(*farm.broker, drained));
    // A worker that does not know of another broker yet is served.
    farm.ask(worker, 3, "/qvd/list_of_vm");
    CHECK(farm.answer(worker).request == 3);
    CHECK_FALSE(*drained);
    const auto order = farm.run(farm.store->take_start(other, farm.node)).value();
    (void)farm.run(farm.store->clear_vm({other,
                                         order.record.runtime.incarnation,
                                         {VmState::starting},
                                         VmState::failed,
                                         0,
                                         "the image is broken"}));
    CHECK(farm.answer(worker).request == 2);
    CHECK(farm.until([&] { return *drained; }));
    CHECK(farm.broker->load() == 1);
    farm.broker->stop();
    CHECK(holders(farm) == std::vector<std::string>{"l7r-0-x:1"});
    CHECK_FALSE(worker.heard());
}

TEST_CASE("A draining broker resets no rows: they may be its successor's") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    const VmId other = add_vm(farm, "10.3.15.8");
    compare_all(farm, worker, other);
    compare_all(farm, worker, other);
    const auto drained = std::make_shared<bool>(false);
    broker::spawn_contained(farm.loop.get_executor(), drain(*farm.broker, drained));
    CHECK(farm.until([&] {
        worker.say(net::Hello{"l7r-0-x", {}, {}});
        (void)farm.run(farm.store->end_session(hold(farm, farm.vm, "l7r-0-x:9").id, ""));
        return *drained;
    }));
    (void)hold(farm, farm.vm, "l7r-0-x:9");
    worker.say(net::Hello{"l7r-0-x", {}, {}});
    farm.ask(worker, 3, "/qvd/list_of_vm");
    CHECK(farm.answer(worker).request == 3);
    CHECK(farm.rows() == 1);
}

TEST_CASE("A process is known by the instance on its command line, as long as it lives") {
    const std::string name = "l7r-0-test" + std::to_string(::getpid());
    const std::string argument = "--instance=" + name;
    CHECK_FALSE(broker::instance_runs(name));
    int ready[2];
    int never[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(never, O_CLOEXEC) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(never[0], STDIN_FILENO);
        ::execl("/bin/sh", "sh", "-c", "read ignored", argument.c_str(), nullptr);
        ::_exit(127);
    }
    ::close(ready[1]);
    char byte = 0;
    // Ends when exec() has closed the other end.
    CHECK(::read(ready[0], &byte, 1) == 0);
    ::close(ready[0]);
    CHECK(broker::instance_runs(name));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(never[0]);
    ::close(never[1]);
    CHECK_FALSE(broker::instance_runs(name));
}
