// Connections to VMs that stand still or are suspended.
#include "tests/broker/fixture.hpp"

#include <doctest/doctest.h>

#include <memory>

using namespace qvd;
using namespace qvd::broker::test;

namespace {

// Alice's VM, in that state, and the order that her connection leads to.
store::VmOrder order_of_connection(Farm& farm, Worker& worker, VmState state) {
    const auto record = farm.run(farm.store->vm(farm.vm)).value();
    store::VmTransition change;
    change.vm = farm.vm;
    change.incarnation = record->runtime.incarnation;
    change.from = {VmState::running};
    change.to = state;
    change.saved_path = "/suspended/1";
    REQUIRE(farm.run(farm.store->transition(change)).ok());
    farm.ask(worker, 1, path_of(farm.vm));
    REQUIRE(farm.until(
        [&] { return !farm.run(farm.store->pending_commands(farm.node)).value().empty(); }));
    return farm.run(farm.store->take_order(farm.vm, farm.node)).value();
}

}  // namespace

TEST_CASE("A VM that stands still or is suspended comes back when its user connects") {
    for (const VmState state : {VmState::paused, VmState::suspended}) {
        Farm farm;
        const auto agent = std::make_shared<Agent>(farm.loop, &willing);
        agent->begin();
        farm.run_vm(agent->port());
        Worker worker(*farm.broker, "l7r-0-x");
        const store::VmOrder order = order_of_connection(farm, worker, state);
        CHECK(order.command == (state == VmState::paused ? VmCommand::unpause : VmCommand::resume));
        store::VmTransition back;
        back.vm = farm.vm;
        back.incarnation = 1;
        back.from = {state};
        back.to = VmState::running;
        REQUIRE(farm.run(farm.store->transition(back)).ok());
        REQUIRE(farm.run(farm.store->answer_order(farm.vm, order.number, {})).ok());
        CHECK(farm.next<net::Link>(worker).request == 1);
    }
}

TEST_CASE("A suspended VM that does not come back tells its client why") {
    Farm farm;
    farm.run_vm(1);
    Worker worker(*farm.broker, "l7r-0-x");
    const store::VmOrder order = order_of_connection(farm, worker, VmState::suspended);
    REQUIRE(farm.run(farm.store->answer_order(farm.vm, order.number,
                                              {"backend.failed", "the disk is full"}))
                .ok());
    const net::Reply reply = farm.answer(worker);
    CHECK(reply.status == 503);
    CHECK(reply.body.find("does not come back: the disk is full") != std::string::npos);
    CHECK(farm.until([&] { return farm.rows() == 0; }));
}
