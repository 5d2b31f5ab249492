// Waiting for VMs that were ordered to start or to stop.
#include "tests/admin/farm.hpp"

using namespace qvd;
using namespace qvd::admin::test;

namespace {

using Failures = std::vector<std::string>;

// A farm with a node and bob's stopped VM, and what somebody who waits was told.
struct WaitingFarm : Farm {
    WaitingFarm() {
        populate();
        vm = run(store.vms())->front().vm.id;
        node = run(store.add_node("n1", "10.3.15.1")).value();
        const auto epoch = run(store.claim_node(node, "boot")).value();
        NodeLoad load;
        load.memory_total_mib = load.memory_free_mib = 4096;
        REQUIRE(run(store.heartbeat(node, epoch, load)).ok());
        REQUIRE(run(store.set_node_state(node, epoch, NodeState::running, "")).ok());
    }
    void wait_for(VmState wanted, std::chrono::seconds patience = std::chrono::seconds{60}) {
        answer.reset();
        std::set<VmId> vms;
        vms.insert(vm);
        admin::StepSeen seen = [this](const std::string& name, const std::string& state,
                                      const std::string&) { steps += name + " " + state + ", "; };
        store::test::begin(loop, admin.await_vms(vms, wanted, patience, std::move(seen)), answer);
    }
    // Until somebody was told that, and not by the look that comes every few seconds.
    void turn_until_told(const std::string& all) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(4);
        while (steps != all && std::chrono::steady_clock::now() < limit) {
            loop.restart();
            loop.run_one_for(std::chrono::milliseconds(50));
        }
        CHECK(steps == all);
    }
    Failures answered() {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(4);
        while (!answer && std::chrono::steady_clock::now() < limit) {
            loop.restart();
            loop.run_one_for(std::chrono::milliseconds(50));
        }
        REQUIRE(answer);
        REQUIRE(answer->ok());
        return **answer;
    }
    void change(VmState from, VmState to, int phase, const std::string& reason = "") {
        store::VmTransition change{vm, incarnation, {from}, to, phase, reason};
        const bool over = to == VmState::stopped || to == VmState::failed;
        REQUIRE(run(over ? store.clear_vm(change) : store.transition(change)).ok());
    }
    void take() {
        const auto order = run(store.take_start(vm, node));
        REQUIRE(order.ok());
        incarnation = order->record.runtime.incarnation;
    }

    VmId vm;
    NodeId node;
    std::int64_t incarnation = 0;
    std::string steps;
    std::optional<Result<Failures>> answer;
};

}  // namespace

TEST_CASE("who waits for a start is told each step as it comes, and the end") {
    WaitingFarm farm;
    REQUIRE(farm.run(farm.store.order_start(farm.vm, farm.node)).ok());
    farm.wait_for(VmState::running);
    farm.take();
    farm.turn_until_told("desk starting_1, ");
    farm.change(VmState::starting, VmState::starting, 2);
    farm.turn_until_told("desk starting_1, desk starting_2, ");
    CHECK_FALSE(farm.answer);
    farm.change(VmState::starting, VmState::running, 0);
    CHECK(farm.answered().empty());
    CHECK(farm.steps == "desk starting_1, desk starting_2, desk running, ");
}

TEST_CASE("a start that fails ends the waiting with its reason") {
    WaitingFarm farm;
    REQUIRE(farm.run(farm.store.order_start(farm.vm, farm.node)).ok());
    farm.wait_for(VmState::running);
    farm.take();
    farm.change(VmState::starting, VmState::failed, 0, "the bridge is gone");
    const Failures failures = farm.answered();
    REQUIRE(failures.size() == 1);
    CHECK(failures.front() == "vm desk: the bridge is gone");
}

TEST_CASE("a start that is withdrawn ends the waiting") {
    WaitingFarm farm;
    REQUIRE(farm.run(farm.store.order_start(farm.vm, farm.node)).ok());
    farm.wait_for(VmState::running);
    REQUIRE(farm.run(farm.store.order_stop(farm.vm)).ok());
    CHECK(farm.answered().size() == 1);
}

TEST_CASE("who waits for a stop is told of it; a VM that ends as failed has stopped, too") {
    WaitingFarm farm;
    REQUIRE(farm.run(farm.store.order_start(farm.vm, farm.node)).ok());
    farm.take();
    farm.change(VmState::starting, VmState::running, 0);
    REQUIRE(farm.run(farm.store.order_stop(farm.vm)).ok());
    farm.wait_for(VmState::stopped);
    REQUIRE(farm.run(farm.store.take_stop(farm.vm, farm.node)).ok());
    farm.change(VmState::running, VmState::stopping, 1);
    farm.turn_until_told("desk stopping_1, ");
    farm.change(VmState::stopping, VmState::failed, 0, "killed");
    CHECK(farm.answered().empty());
}

TEST_CASE("patience has an end, which leaves the order as it is") {
    WaitingFarm farm;
    REQUIRE(farm.run(farm.store.order_start(farm.vm, farm.node)).ok());
    std::set<VmId> vms;
    vms.insert(farm.vm);
    CHECK(farm.code(farm.admin.await_vms(vms, VmState::running, std::chrono::seconds{1}, {})) ==
          "vm.wait_timeout");
    CHECK(farm.run(farm.store.vm(farm.vm)).value()->runtime.command == VmCommand::start);
}
