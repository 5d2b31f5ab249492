#include "bench.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;

namespace {

VmTransition to(VmId vm, std::int64_t incarnation, VmState from, VmState state, int phase = 0) {
    return {vm, incarnation, {from}, state, phase, "", false, false, "", std::nullopt};
}

}  // namespace

TEST_CASE("an ordered start sets node, reservation and command") {
    Bench bench;
    const auto farm = bench.farm();
    bench.must(bench.store().order_start(farm.vm, farm.node));
    const VmRecord record = bench.vm(farm.vm);
    CHECK(record.runtime.node == farm.node);
    CHECK(record.runtime.command == VmCommand::start);
    CHECK(record.runtime.state == VmState::stopped);
    const auto pending = bench.must(bench.store().pending_commands(farm.node));
    REQUIRE(pending.size() == 1);
    CHECK(pending[0].first == farm.vm);
    CHECK(pending[0].second == VmCommand::start);
    const auto nodes = bench.must(bench.store().nodes());
    CHECK(nodes[0].reserved_mib == 256);
    CHECK(nodes[0].vms == 1);
}

TEST_CASE("a node admits VMs until its memory is promised") {
    Bench bench;
    const auto farm = bench.farm();
    for (int i = 2; i <= 5; ++i) bench.add_vm(farm, "vm" + std::to_string(i));
    const auto vms = bench.must(bench.store().vms());
    for (int i = 0; i < 4; ++i)
        bench.must(bench.store().order_start(vms[static_cast<std::size_t>(i)].vm.id, farm.node));
    CHECK(bench.refusal(bench.store().order_start(vms[4].vm.id, farm.node)) == "node.full");
    bench.must(bench.store().order_stop(vms[0].vm.id));
    bench.must(bench.store().order_start(vms[4].vm.id, farm.node));
}

TEST_CASE(
    "a start is refused for an unknown, blocked or stopped node and a VM that does not rest") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    CHECK(bench.refusal(store.order_start(VmId{99999}, farm.node)) == "vm.not_found");
    CHECK(bench.refusal(store.order_start(farm.vm, NodeId{99999})) == "node.not_found");
    bench.must(store.set_node_blocked(farm.node, true));
    CHECK(bench.refusal(store.order_start(farm.vm, farm.node)) == "node.unavailable");
    bench.must(store.set_node_blocked(farm.node, false));
    bench.must(store.set_node_state(farm.node, farm.epoch, NodeState::stopping, ""));
    CHECK(bench.refusal(store.order_start(farm.vm, farm.node)) == "node.unavailable");
    bench.must(store.set_node_state(farm.node, farm.epoch, NodeState::running, ""));
    bench.must(store.order_start(farm.vm, farm.node));
    CHECK(bench.refusal(store.order_start(farm.vm, farm.node)) == "vm.not_stopped");
}

TEST_CASE("of two starts ordered at once on two nodes exactly one counts") {
    Bench bench;
    const auto farm = bench.farm();
    const NodeId other = bench.add_running_node("node2", "10.3.0.2", 1024);
    for (int round = 0; round < 40; ++round) {
        const auto [one, two] = bench.race(bench.store().order_start(farm.vm, farm.node),
                                           bench.store().order_start(farm.vm, other));
        CHECK(one.ok() != two.ok());
        CHECK((one.ok() ? two : one).error().code() == "vm.not_stopped");
        const VmRecord record = bench.vm(farm.vm);
        CHECK(record.runtime.node == (one.ok() ? farm.node : other));
        double reserved = 0;
        for (const NodeRecord& node : bench.must(bench.store().nodes()))
            reserved += node.reserved_mib;
        CHECK(reserved == 256);
        bench.must(bench.store().order_stop(farm.vm));
    }
}

TEST_CASE("two VMs ordered at once never share the memory that is left for one") {
    Bench bench;
    const auto farm = bench.farm();
    const VmId second = bench.add_vm(farm, "vm2");
    const NodeId small = bench.add_running_node("small", "10.3.0.3", 300);
    for (int round = 0; round < 40; ++round) {
        const auto [one, two] = bench.race(bench.store().order_start(farm.vm, small),
                                           bench.store().order_start(second, small));
        CHECK(one.ok() != two.ok());
        CHECK((one.ok() ? two : one).error().code() == "node.full");
        bench.must(bench.store().order_stop(one.ok() ? farm.vm : second));
    }
}

TEST_CASE("the node that was told takes the start, once, with a token and the next incarnation") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const NodeId other = bench.add_running_node("node2", "10.3.0.2", 1024);
    bench.must(store.order_start(farm.vm, farm.node));
    CHECK(bench.refusal(store.take_start(farm.vm, other)) == "vm.no_command");
    const StartOrder order = bench.must(store.take_start(farm.vm, farm.node));
    CHECK(order.record.runtime.state == VmState::starting);
    CHECK(order.record.runtime.phase == 1);
    CHECK(order.record.runtime.incarnation == 1);
    CHECK(order.record.run_attempts == 1);
    CHECK(order.di.id == farm.di.id);
    CHECK(order.agent_token.reveal().size() == 64);
    CHECK(bench.refusal(store.take_start(farm.vm, farm.node)) == "vm.no_command");
    CHECK(bench.must(store.pending_commands(farm.node)).empty());
    CHECK(bench.refusal(store.take_start(VmId{99999}, farm.node)) == "vm.not_found");
}

TEST_CASE("a start that was taken and not launched is taken again, as the next incarnation") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.must(store.order_start(farm.vm, farm.node));
    const StartOrder first = bench.must(store.take_start(farm.vm, farm.node));
    const StartOrder again = bench.must(store.retake_start(farm.vm, farm.node, 1));
    CHECK(again.record.runtime.state == VmState::starting);
    CHECK(again.record.runtime.phase == 1);
    CHECK(again.record.runtime.incarnation == 2);
    CHECK(again.record.run_attempts == 1);
    CHECK(again.di.id == farm.di.id);
    CHECK_FALSE(again.agent_token.equals(first.agent_token.reveal()));
    CHECK(bench.refusal(store.retake_start(farm.vm, farm.node, 1)) == "vm.superseded");
    bench.must(store.transition(to(farm.vm, 2, VmState::starting, VmState::starting, 2)));
    CHECK(bench.refusal(store.retake_start(farm.vm, farm.node, 2)) == "vm.state");
    CHECK(bench.refusal(store.retake_start(VmId{99999}, farm.node, 1)) == "vm.not_found");
}

TEST_CASE("a start that lost its image is not taken again") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.must(store.order_start(farm.vm, farm.node));
    bench.must(store.take_start(farm.vm, farm.node));
    Store::VmEdit edit;
    edit.di_tag = "nightly";
    bench.must(store.edit_vm(farm.vm, edit));
    CHECK(bench.refusal(store.retake_start(farm.vm, farm.node, 1)) == "di.not_tagged");
    CHECK(bench.vm(farm.vm).runtime.incarnation == 1);
}

TEST_CASE("a start without an image fails with the reason and gives the node back") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    Store::VmEdit edit;
    edit.di_tag = "nightly";
    bench.must(store.edit_vm(farm.vm, edit));
    CHECK_FALSE(bench.vm(farm.vm).di.has_value());
    bench.must(store.order_start(farm.vm, farm.node));
    CHECK(bench.refusal(store.take_start(farm.vm, farm.node)) == "di.not_tagged");
    const VmRecord record = bench.vm(farm.vm);
    CHECK(record.runtime.state == VmState::failed);
    CHECK(record.runtime.reason == "no image of its osf has the tag \"nightly\"");
    CHECK_FALSE(record.runtime.node.has_value());
    CHECK(bench.must(store.nodes())[0].reserved_mib == 0);
    edit.di_tag = "default";
    bench.must(store.edit_vm(farm.vm, edit));
    bench.start(farm.vm, farm.node);
}

TEST_CASE("a start that nobody took is withdrawn by an order to stop") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.must(store.order_start(farm.vm, farm.node));
    bench.must(store.order_stop(farm.vm));
    CHECK_FALSE(bench.vm(farm.vm).runtime.node.has_value());
    CHECK(bench.must(store.nodes())[0].reserved_mib == 0);
    CHECK(bench.refusal(store.take_start(farm.vm, farm.node)) == "vm.no_command");
    CHECK(bench.refusal(store.order_stop(farm.vm)) == "vm.not_running");
    CHECK(bench.refusal(store.order_stop(VmId{99999})) == "vm.not_found");
}

TEST_CASE("a running VM is ordered to stop, and the order is taken once") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    CHECK(bench.refusal(store.take_stop(farm.vm, farm.node)) == "vm.no_command");
    bench.must(store.order_stop(farm.vm));
    bench.must(store.order_stop(farm.vm));
    CHECK(bench.must(store.pending_commands(farm.node)).front().second == VmCommand::stop);
    bench.must(store.take_stop(farm.vm, farm.node));
    CHECK(bench.vm(farm.vm).runtime.state == VmState::running);
    CHECK(bench.refusal(store.take_stop(farm.vm, farm.node)) == "vm.no_command");
    CHECK(bench.refusal(store.take_stop(VmId{99999}, farm.node)) == "vm.not_found");
}

TEST_CASE("a state changes only from where it is expected, in this incarnation") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.must(store.order_start(farm.vm, farm.node));
    bench.must(store.take_start(farm.vm, farm.node));
    bench.must(store.transition(to(farm.vm, 1, VmState::starting, VmState::starting, 2)));
    CHECK(bench.refusal(store.transition(to(farm.vm, 1, VmState::running, VmState::debug))) ==
          "vm.state");
    CHECK(bench.refusal(store.transition(to(farm.vm, 0, VmState::starting, VmState::running))) ==
          "vm.superseded");
    CHECK(bench.refusal(store.transition(
              to(VmId{99999}, 1, VmState::starting, VmState::running))) == "vm.not_found");
    CHECK(bench.refusal(store.transition(to(farm.vm, 1, VmState::starting, VmState::stopped))) ==
          "vm.transition");
    CHECK(bench.refusal(store.transition(to(farm.vm, 1, VmState::starting, VmState::zombie))) ==
          "vm.transition");
    bench.must(store.transition(to(farm.vm, 1, VmState::starting, VmState::running)));
    CHECK(bench.vm(farm.vm).run_ok == 1);
    CHECK(bench.vm(farm.vm).runtime.phase == 0);
}

TEST_CASE("failures are counted until the VM runs well, and may block it") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    for (int i = 1; i <= 2; ++i) {
        bench.must(store.order_start(farm.vm, farm.node));
        bench.must(store.take_start(farm.vm, farm.node));
        bench.must(store.clear_vm(
            {farm.vm, i, {VmState::starting}, VmState::failed, 0, "no room", i == 2, true}));
        const VmRecord record = bench.vm(farm.vm);
        CHECK(record.runtime.attempt == i);
        CHECK(record.runtime.reason == "no room");
        CHECK(record.runtime.blocked == (i == 2));
    }
    bench.start(farm.vm, farm.node);
    CHECK(bench.vm(farm.vm).runtime.attempt == 2);
    CHECK(bench.refusal(store.forget_failures(farm.vm, 2)) == "vm.superseded");
    bench.must(store.forget_failures(farm.vm, 3));
    CHECK(bench.vm(farm.vm).runtime.attempt == 0);
    CHECK(bench.vm(farm.vm).run_attempts == 3);
    CHECK(bench.vm(farm.vm).run_ok == 1);
    // So does an operator who opens it again, and a run that ends as it was ordered to.
    const auto crash = [&](std::int64_t incarnation) {
        bench.must(store.clear_vm(
            {farm.vm, incarnation, {VmState::running}, VmState::failed, 0, "crashed", true, true}));
    };
    crash(3);
    CHECK(bench.vm(farm.vm).runtime.attempt == 1);
    bench.must(store.set_vm_blocked(farm.vm, false));
    CHECK(bench.vm(farm.vm).runtime.attempt == 0);
    bench.start(farm.vm, farm.node);
    crash(4);
    bench.start(farm.vm, farm.node);
    bench.must(store.clear_vm(to(farm.vm, 5, VmState::running, VmState::stopped)));
    CHECK(bench.vm(farm.vm).runtime.attempt == 0);
}

TEST_CASE("of a cleared VM nothing is left but its state and reason") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const StartOrder order = bench.start(farm.vm, farm.node);
    bench.must(store.set_launch(farm.vm, 1, order.di.id, "lxc-unionfs"));
    bench.must(store.set_endpoints(farm.vm, 1, "10.3.1.250",
                                   {{"agent", "tcp", "10.3.1.250", 3030},
                                    {"nx", "tcp", "", 4100},
                                    {"console", "unix", "/run/qvd/vm/1.sock", 0}}));
    bench.must(store.agent_seen(farm.vm, 1));
    bench.must(store.report_usage(farm.node,
                                  {{farm.vm, 1, 12.5, 1 << 20, 4711}, {VmId{99999}, 1, 1, 1, 1}}));
    const auto access = bench.must(store.agent_access(farm.vm));
    CHECK(access.address == "10.3.1.250");
    CHECK(access.agent_port == 3030);
    CHECK(access.nx_port == 4100);
    CHECK(access.token.reveal() == order.agent_token.reveal());
    CHECK(access.incarnation == 1);
    VmRecord record = bench.vm(farm.vm);
    CHECK(record.runtime.address == "10.3.1.250");
    CHECK(record.runtime.current_di == order.di.id);
    CHECK(record.runtime.hypervisor == "lxc-unionfs");
    CHECK(record.runtime.agent_seen.has_value());
    CHECK(record.cpu_seconds == 12.5);
    CHECK(record.memory_bytes == 1 << 20);
    CHECK(record.pid == 4711);
    bench.must(store.order_stop(farm.vm));
    bench.must(store.clear_vm(to(farm.vm, 1, VmState::running, VmState::stopped)));
    record = bench.vm(farm.vm);
    CHECK(record.runtime.state == VmState::stopped);
    CHECK(record.runtime.address.empty());
    CHECK_FALSE(record.runtime.node.has_value());
    CHECK(record.runtime.last_node == farm.node);
    CHECK_FALSE(record.runtime.command.has_value());
    CHECK_FALSE(record.runtime.current_di.has_value());
    CHECK(record.runtime.hypervisor.empty());
    CHECK_FALSE(record.runtime.agent_seen.has_value());
    CHECK(record.cpu_seconds == 0);
    CHECK(record.pid == 0);
    CHECK(bench.must(store.nodes())[0].reserved_mib == 0);
    CHECK(bench.refusal(store.agent_access(farm.vm)) == "vm.no_agent");
    CHECK(bench.refusal(store.agent_access(VmId{99999})) == "vm.not_found");
    CHECK(bench.refusal(store.clear_vm(to(farm.vm, 1, VmState::running, VmState::stopped))) ==
          "vm.state");
}

TEST_CASE("messages about an older incarnation change nothing") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    bench.must(store.clear_vm(to(farm.vm, 1, VmState::running, VmState::stopped)));
    CHECK(bench.refusal(store.set_launch(farm.vm, 1, farm.di.id, "lxc-unionfs")) == "vm.state");
    bench.start(farm.vm, farm.node);
    CHECK(bench.refusal(store.set_launch(farm.vm, 1, farm.di.id, "lxc-unionfs")) ==
          "vm.superseded");
    CHECK(bench.refusal(store.set_endpoints(farm.vm, 1, "", {})) == "vm.superseded");
    CHECK(bench.refusal(store.agent_seen(farm.vm, 1)) == "vm.superseded");
    CHECK(bench.refusal(store.clear_vm(to(farm.vm, 1, VmState::running, VmState::stopped))) ==
          "vm.superseded");
    bench.must(store.report_usage(farm.node, {{farm.vm, 1, 12.5, 1, 1}}));
    CHECK(bench.vm(farm.vm).cpu_seconds == 0);
    CHECK(bench.refusal(store.set_launch(farm.vm, 2, DiId{99999}, "lxc-unionfs")) ==
          "di.not_found");
    CHECK(bench.refusal(store.set_endpoints(farm.vm, 2, "", {{"fax", "tcp", "", 1}})) ==
          "vm.endpoint");
}
