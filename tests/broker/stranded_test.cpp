// What was ordered to a node which died before it did it.
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

using Orders = std::vector<std::pair<VmId, VmCommand>>;

// All nodes fall silent.
void fall_silent(Farm& farm) {
    farm.database_ahead += std::chrono::seconds(60);
}

NodeId add_living_node(Farm& farm) {
    const NodeId node = farm.run(farm.store->add_node("there", "10.3.15.2")).value();
    const std::int64_t epoch = farm.run(farm.store->claim_node(node, "boot")).value();
    NodeLoad load;
    load.memory_total_mib = load.memory_free_mib = 8192;
    REQUIRE(farm.run(farm.store->heartbeat(node, epoch, load)).ok());
    REQUIRE(farm.run(farm.store->set_node_state(node, epoch, NodeState::running, "")).ok());
    return node;
}

bool has_order(Farm& farm, NodeId node) {
    return farm.run(farm.store->pending_commands(node)).value() ==
           Orders{{farm.vm, VmCommand::start}};
}

store::VmRecord record_of(Farm& farm) {
    return farm.run(farm.store->vm(farm.vm)).value().value();
}

}  // namespace

TEST_CASE("A login whose node dies before it takes the start gets its VM on another node") {
    Farm farm("internal.l7r.stranded.delay = 20");
    const auto agent = std::make_shared<Agent>(farm.loop, &willing);
    agent->begin();
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    REQUIRE(farm.until([&] { return has_order(farm, farm.node); }));
    fall_silent(farm);
    const NodeId there = add_living_node(farm);
    REQUIRE(farm.until([&] { return has_order(farm, there); }));
    const auto order = farm.run(farm.store->take_start(farm.vm, there));
    REQUIRE(order.ok());
    const std::int64_t life = order->record.runtime.incarnation;
    REQUIRE(farm.run(farm.store->set_endpoints(farm.vm, life, "127.0.0.1",
                                               {{"agent", "tcp", "127.0.0.1", agent->port()},
                                                {"nx", "tcp", "127.0.0.1", 4000}}))
                .ok());
    REQUIRE(farm.run(farm.store->transition(
                         {farm.vm, life, {VmState::starting}, VmState::running, 0, ""}))
                .ok());
    CHECK(farm.next<net::Link>(worker).request == 1);
    CHECK_FALSE(farm.run(farm.store->take_start(farm.vm, farm.node)).ok());
}

TEST_CASE("A start that an operator ordered to a node which died goes to another node") {
    Farm farm("internal.l7r.stranded.delay = 20");
    REQUIRE(farm.run(farm.store->order_start(farm.vm, farm.node)).ok());
    fall_silent(farm);
    const NodeId there = add_living_node(farm);
    CHECK(farm.until([&] { return has_order(farm, there); }));
}

TEST_CASE("A client whose start no other node can take hears so, and which host died") {
    Farm farm("internal.l7r.stranded.delay = 20");
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    REQUIRE(farm.until([&] { return has_order(farm, farm.node); }));
    fall_silent(farm);
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 503);
    CHECK_MESSAGE(reply.body.find("host here died before it began with this start, and no other "
                                  "host can take it now") != std::string::npos,
                  reply.body);
    CHECK(record_of(farm).runtime.state == VmState::failed);
    CHECK(record_of(farm).runtime.reason_code == "node.lost");
}

TEST_CASE("A start waits on at a node that lives, and for one that reports again in time") {
    Farm farm("internal.l7r.stranded.delay = 200");
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    REQUIRE(farm.until([&] { return has_order(farm, farm.node); }));
    // As after an outage of the database: all seem dead, and report again.
    fall_silent(farm);
    REQUIRE(farm.run(farm.store->heartbeat(farm.node, 1, {})).ok());
    const NodeId there = add_living_node(farm);
    const auto begun = std::chrono::steady_clock::now();
    CHECK(farm.until([&] {
        return std::chrono::steady_clock::now() - begun > std::chrono::milliseconds(1500);
    }));
    CHECK(has_order(farm, farm.node));
    CHECK_FALSE(has_order(farm, there));
}

TEST_CASE("A client whose suspended VM is on a node that died hears so") {
    Farm farm("internal.l7r.stranded.delay = 20");
    farm.run_vm(1);
    store::VmTransition change;
    change.vm = farm.vm;
    change.incarnation = 1;
    change.from = {VmState::running};
    change.to = VmState::suspended;
    REQUIRE(farm.run(farm.store->transition(change)).ok());
    Worker worker(*farm.broker, "l7r-0-x");
    farm.ask(worker, 1, path_of(farm.vm));
    REQUIRE(farm.until([&] {
        return farm.run(farm.store->pending_commands(farm.node)).value() ==
               Orders{{farm.vm, VmCommand::resume}};
    }));
    fall_silent(farm);
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 503);
    CHECK_MESSAGE(reply.body.find("does not come back: host here died before it answered") !=
                      std::string::npos,
                  reply.body);
    CHECK(record_of(farm).runtime.state == VmState::suspended);
    CHECK(farm.run(farm.store->pending_commands(farm.node)).value().empty());
}
