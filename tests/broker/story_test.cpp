#include "agent/protocol.hpp"
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <algorithm>
#include <memory>

using namespace qvd;
using namespace qvd::broker::test;

TEST_CASE("Each refusal of a connection has its status, in the documented order, and no row") {
    log::Capture log;
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    (void)farm.next<net::Configure>(worker);
    std::uint16_t expected = 0;
    std::string target = path_of(farm.vm);
    std::string password = "secret";
    bool upgrade = true;
    SUBCASE("a wrong password") {
        password = "wrong";
        expected = 401;
    }
    SUBCASE("a blocked node, before anything else is looked at") {
        (void)farm.run(farm.store->set_node_blocked(farm.node, true));
        upgrade = false;
        expected = 503;
    }
    SUBCASE("no upgrade, before the parameters") {
        upgrade = false;
        target = "/qvd/connect_to_vm";
        expected = 426;
    }
    SUBCASE("no id") {
        target = "/qvd/connect_to_vm";
        expected = 422;
    }
    SUBCASE("a foreign parameter, before the VM") {
        target = path_of(VmId{999}, "&foo=1");
        expected = 403;
    }
    SUBCASE("no such VM") {
        target = path_of(VmId{999});
        expected = 404;
    }
    SUBCASE("a blocked VM") {
        (void)farm.run(farm.store->set_vm_blocked(farm.vm, true));
        expected = 403;
    }
    farm.ask(worker, 1, target, password, upgrade);
    CHECK(farm.answer(worker).status == expected);
    CHECK(farm.rows() == 0);
    CHECK_FALSE(log.contains("secret"));
}

TEST_CASE("A session is linked, switched, and its row ends with its relay") {
    Farm farm;
    const auto agent = std::make_shared<Agent>(farm.loop, &willing);
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm, "&qvd.client.link=lan"));
    const auto link = farm.next<net::Link>(worker);
    CHECK(link.port == 4000);
    CHECK(farm.rows() == 1);
    CHECK(std::ranges::any_of(agent->targets, [&](const std::string& target) {
        return target.starts_with("/vma/x_start") &&
               target.find("qvd.vm.id=" + farm.vm.text()) != std::string::npos;
    }));
    SUBCASE("its client closes") {
        worker.say(net::Linked{1});
        CHECK(farm.next<net::Switch>(worker).slave_key.reveal().size() == 64);
        worker.say(net::Ended{1, 10, 20, 30, "client closed"});
        CHECK(farm.until([&] { return farm.rows() == 0; }));
        const auto node = farm.run(farm.store->node("here")).value();
        CHECK(node->counters.short_sessions == 1);
    }
    SUBCASE("the display is not there") {
        worker.say(net::LinkFailed{1, "nobody listens"});
        const net::Reply reply = farm.answer(worker);
        CHECK(reply.status == 503);
        CHECK(reply.upgrade_failed);
        CHECK(farm.until([&] { return farm.rows() == 0; }));
    }
    SUBCASE("the client leaves") {
        worker.say(net::Gone{1});
        CHECK(farm.until([&] { return farm.rows() == 0; }));
    }
    SUBCASE("the client leaves once its display is there") {
        worker.say(net::Linked{1});
        worker.say(net::Gone{1});
        worker.say(net::ConnectionClosed{1});
        SUBCASE("before anybody heard of it") {
        }
        SUBCASE("while its 101 was on the way") {
            // What a worker says to a Switch or an Abort of a client that it has no more.
            worker.say(net::Ended{1, 0, 0, 0, "the client left before its relay began"});
        }
        CHECK(farm.until([&] { return farm.rows() == 0; }));
        farm.ask(worker, 2, path_of(farm.vm));
        CHECK(farm.next<net::Link>(worker).request == 2);
    }
    SUBCASE("the worker dies") {
        worker.die();
        CHECK(farm.until([&] { return farm.rows() == 0; }));
    }
    SUBCASE("another client takes over") {
        worker.say(net::Linked{1});
        (void)farm.next<net::Switch>(worker);
        farm.ask(worker, 2, path_of(farm.vm));
        CHECK(farm.next<net::Abort>(worker).request == 1);
        worker.say(net::Ended{1, 0, 0, 0, "aborted"});
        CHECK(farm.next<net::Link>(worker).request == 2);
        CHECK(farm.rows() == 1);
    }
}

TEST_CASE("Who does not let go keeps the VM, and the newcomer is told") {
    Farm farm("internal.l7r.timeout.takeover = 1\n");
    const auto agent = std::make_shared<Agent>(farm.loop, &willing);
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    (void)farm.next<net::Link>(worker);
    worker.say(net::Linked{1});
    (void)farm.next<net::Switch>(worker);
    farm.ask(worker, 2, path_of(farm.vm));
    CHECK(farm.answer(worker).body == "Unable to acquire VM, close other clients\r\n");
    CHECK(farm.rows() == 1);
}

TEST_CASE("A VM that fails to start tells its client why") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.until(
        [&] { return !farm.run(farm.store->pending_commands(farm.node)).value().empty(); }));
    const auto order = farm.run(farm.store->take_start(farm.vm, farm.node)).value();
    (void)farm.run(farm.store->clear_vm({farm.vm,
                                         order.record.runtime.incarnation,
                                         {VmState::starting},
                                         VmState::failed,
                                         0,
                                         "the image is broken"}));
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 503);
    CHECK(reply.body.find("the image is broken") != std::string::npos);
    CHECK(farm.until([&] { return farm.rows() == 0; }));
}

TEST_CASE("A VM that does not start in time is a 504") {
    Farm farm("internal.l7r.timeout.vm_start = 1\n");
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.answer(worker).status == 504);
}

TEST_CASE("A session that comes to nothing reaches the client with the agent's reason") {
    Farm farm;
    const auto agent = std::make_shared<Agent>(farm.loop, [](const std::string& method) {
        if (method == "x_state") return agent::encode_text("stopped");
        if (method == "x_reason") return agent::encode_text("no home");
        return willing(method);
    });
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.answer(worker).body.find("(no home)") != std::string::npos);
}

TEST_CASE("Relays that outlived a broker are taken up, rows of dead workers reset") {
    Farm farm;
    const auto held = farm.run(
        farm.store->acquire_session({farm.vm, farm.alice, "192.0.2.1", farm.node, "l7r-0-x:9"}));
    REQUIRE(held.value().session);
    bool alive = true;
    SUBCASE("the relay runs") {
    }
    SUBCASE("its worker is gone") {
        alive = false;
    }
    Worker worker(*farm.broker, "l7r-0-x",
                  alive ? std::vector<std::uint64_t>{9} : std::vector<std::uint64_t>{});
    if (alive) {
        CHECK(farm.until([&] { return farm.broker->load() == 1; }));
        CHECK(farm.rows() == 1);
        worker.say(net::Ended{9, 0, 0, 0, "client closed"});
    }
    CHECK(farm.until([&] { return farm.rows() == 0; }));
}

TEST_CASE("A request that comes before the broker is configured waits until it is") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    // Not a turn of the loop has passed: a worker that knew an earlier broker is so fast.
    farm.ask(worker, 1, "/qvd/list_of_vm");
    farm.store->fail_with_unavailable(true);
    farm.loop.restart();
    farm.loop.poll();
    farm.store->fail_with_unavailable(false);
    CHECK(farm.answer(worker).status == 200);
}

TEST_CASE("Guesses made all at once are no more than guesses made one by one") {
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    for (std::uint64_t i = 1; i <= 60; ++i) farm.ask(worker, i, "/qvd/list_of_vm", "wrong");
    int wrong = 0;
    int refused = 0;
    for (int i = 0; i < 60; ++i) {
        const std::uint16_t status = farm.answer(worker).status;
        wrong += status == 401 ? 1 : 0;
        refused += status == 429 ? 1 : 0;
    }
    CHECK(wrong == 20);
    CHECK(refused == 40);
}

TEST_CASE("A stop that takes too long is a 408 to who asked for it") {
    Farm farm("internal.l7r.timeout.vm_stop = 1\n");
    farm.run_vm(1);
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, "/qvd/stop_vm?id=" + farm.vm.text());
    CHECK(farm.answer(worker).status == 408);
}

TEST_CASE("A node that has been silent for long gets no VM, alone in its farm or not") {
    Farm farm;
    farm.database_ahead = std::chrono::seconds(60);
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 503);
    CHECK(reply.body.starts_with("No node can take the virtual machine now"));
}

TEST_CASE("A VM on a blocked node is not to be had, and nothing is written") {
    Farm farm;
    const NodeId other = farm.run(farm.store->add_node("there", "10.3.15.2")).value();
    const std::int64_t epoch = farm.run(farm.store->claim_node(other, "boot")).value();
    (void)farm.run(farm.store->set_node_state(other, epoch, NodeState::running, ""));
    NodeLoad load;
    load.memory_total_mib = load.memory_free_mib = 8192;
    (void)farm.run(farm.store->heartbeat(other, epoch, load));
    farm.run_vm(1, other);
    (void)farm.run(farm.store->set_node_blocked(other, true));
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 503);
    CHECK(reply.body == "The node of the requested virtual machine is blocked\r\n");
    CHECK(farm.rows() == 0);
}

TEST_CASE("An address that guesses is refused without being asked") {
    Farm farm("l7r.limit.failed_logins = 1\n");
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, "/qvd/list_of_vm", "wrong");
    CHECK(farm.answer(worker).status == 401);
    farm.ask(worker, 2, "/qvd/list_of_vm");
    CHECK(farm.answer(worker).status == 429);
}

TEST_CASE("A kept connection is believed by its credentials alone, while they are the same") {
    log::Capture log;
    Farm farm;
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, "/qvd/list_of_vm");
    CHECK(farm.answer(worker).status == 200);
    const auto logins = [&log] {
        return std::ranges::count_if(log.lines(), [](const std::string& line) {
            return line.find("event=auth.ok") != std::string::npos;
        });
    };
    CHECK(logins() == 1);
    worker.say(request_on(1, 2, "/qvd/list_of_vm"));
    CHECK(farm.answer(worker).status == 200);
    CHECK(logins() == 1);
    worker.say(request_on(1, 3, "/qvd/list_of_vm", "wrong"));
    CHECK(farm.answer(worker).status == 401);
}

TEST_CASE("An agent that can is asked to answer when the session's state is another") {
    Farm farm;
    int looks = 0;
    const auto agent = std::make_shared<Agent>(farm.loop, [&](const std::string& method) {
        if (method == "hello")
            return agent::encode_hello(
                {agent::protocol_version, {std::string(agent::feature::x_wait)}});
        if (method == "x_state" && ++looks == 1) return agent::encode_text("provisioning");
        return willing(method);
    });
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.next<net::Link>(worker).port == 4000);
    std::vector<std::string> states = agent->targets;
    std::erase_if(states,
                  [](const std::string& target) { return !target.starts_with("/vma/x_state"); });
    REQUIRE(states.size() == 2);
    CHECK(states[0].find("unless=starting") != std::string::npos);
    CHECK(states[0].find("wait_ms=2000") != std::string::npos);
    CHECK(states[1].find("unless=provisioning") != std::string::npos);
}

TEST_CASE("A session on its way from one state to another is asked for again") {
    Farm farm;
    const std::vector<std::string> states{"suspending", "stopping", "listening"};
    std::size_t starts = 0;
    const auto agent = std::make_shared<Agent>(farm.loop, [&](const std::string& method) {
        if (method == "x_start" && starts < states.size())
            return agent::encode_failure(std::string(agent::passing_sentence) + states[starts++] +
                                         ", try again in a few minutes");
        return willing(method);
    });
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.next<net::Link>(worker).port == 4000);
    CHECK(starts == states.size());
    CHECK(std::ranges::count(agent->asked, "x_start") == 4);
}

TEST_CASE("An agent that is busy is asked again, and one that provisions is waited for") {
    Farm farm("internal.l7r.timeout.x_start = 1\n");
    int starts = 0;
    int looks = 0;
    const auto agent = std::make_shared<Agent>(farm.loop, [&](const std::string& method) {
        if (method == "x_start" && ++starts == 1)
            return agent::encode_failure(agent::busy_sentence);
        if (method == "x_state" && ++looks < 4) return agent::encode_text("provisioning");
        return willing(method);
    });
    agent->begin();
    farm.run_vm(agent->port());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    CHECK(farm.next<net::Link>(worker).port == 4000);
    CHECK(starts == 2);
    CHECK(looks == 4);
}

TEST_CASE("Calls of hkd are made for the incarnation that runs, and for no other") {
    Farm farm;
    const auto agent = std::make_shared<Agent>(farm.loop, [](const std::string& method) {
        return method == "ping" ? agent::encode_number(1) : std::string();
    });
    agent->begin();
    farm.run_vm(agent->port());
    auto ends = net::frame_sockets().value();
    farm.broker->add_hkd(std::move(ends.second));
    ::fcntl(ends.first.get(), F_SETFL, O_NONBLOCK);
    net::AgentCall call;
    call.call = 3;
    call.vm = farm.vm.value();
    call.incarnation = 1;
    call.method = "ping";
    auto expected = net::AgentAnswer::Outcome::ok;
    SUBCASE("the one that runs") {
    }
    SUBCASE("another incarnation") {
        call.incarnation = 2;
        expected = net::AgentAnswer::Outcome::stale;
    }
    SUBCASE("a VM that does not run") {
        call.vm = 999;
        expected = net::AgentAnswer::Outcome::stale;
    }
    SUBCASE("without the database nobody knows") {
        farm.store->fail_with_unavailable(true);
        expected = net::AgentAnswer::Outcome::unreachable;
    }
    REQUIRE(net::send_frame(ends.first.get(), call).ok());
    std::optional<net::AgentAnswer> answer;
    CHECK(farm.until([&] {
        auto frame = net::receive_frame(ends.first.get());
        if (frame.ok()) answer = std::get<net::AgentAnswer>(*frame);
        return answer.has_value();
    }));
    REQUIRE(answer);
    CHECK(answer->call == 3);
    CHECK(answer->outcome == expected);
}
