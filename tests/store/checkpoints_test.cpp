// Checkpoints and the way back to them; VMs that are to be restarted; orders that nobody answered.
#include "bench.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;

namespace {

VmTransition ended(VmId vm, std::int64_t incarnation, VmState from,
                   VmState state = VmState::stopped) {
    VmTransition change;
    change.vm = vm;
    change.incarnation = incarnation;
    change.from = {from};
    change.to = state;
    return change;
}

// A farm whose VM runs its image under "kvm".
struct Running {
    Running() : farm(bench.farm()), first(bench.start(farm.vm, farm.node)) {
        bench.must(store.set_launch(farm.vm, 1, farm.di.id, "kvm"));
    }
    void stop(std::int64_t incarnation) {
        bench.must(store.clear_vm(ended(farm.vm, incarnation, VmState::running)));
    }

    Bench bench;
    Store& store = bench.store();
    Bench::Farm farm;
    StartOrder first;
};

}  // namespace

TEST_CASE("a checkpoint is remembered with all that the way back needs, and outlives a stop") {
    Running one;
    auto& bench = one.bench;
    auto& store = one.store;
    const VmId vm = one.farm.vm;
    CHECK(bench.refusal(store.order_restore(vm)) == "vm.no_checkpoint");
    CHECK(bench.refusal(store.remember_checkpoint(vm, 2, "/suspended/1")) == "vm.superseded");
    CHECK(bench.must(store.remember_checkpoint(vm, 1, "/suspended/1")).empty());
    CHECK(bench.refusal(store.order_restore(vm)) == "vm.not_stopped");
    one.stop(1);
    const auto kept = bench.vm(vm).checkpoint;
    REQUIRE(kept.has_value());
    CHECK(kept->path == "/suspended/1");
    CHECK(kept->node == one.farm.node);
    CHECK(kept->node_name == "node1");
    CHECK(kept->hypervisor == "kvm");
    CHECK(kept->di->id == one.farm.di.id);

    bench.must(store.order_restore(vm));
    CHECK(bench.vm(vm).runtime.from_checkpoint);
    const StartOrder order = bench.must(store.take_start(vm, one.farm.node));
    CHECK(order.checkpoint == "/suspended/1");
    CHECK(order.di.id == one.farm.di.id);
    CHECK(order.record.runtime.incarnation == 2);
    CHECK(order.agent_token.reveal() == one.first.agent_token.reveal());
    const StartOrder again = bench.must(store.retake_start(vm, one.farm.node, 2));
    CHECK(again.checkpoint == "/suspended/1");
    CHECK(again.agent_token.reveal() == one.first.agent_token.reveal());

    // The start after that is one like any other.
    bench.must(store.clear_vm(ended(vm, 3, VmState::starting)));
    CHECK_FALSE(bench.vm(vm).runtime.from_checkpoint);
    CHECK(bench.start(vm, one.farm.node).checkpoint.empty());
    CHECK(bench.vm(vm).checkpoint.has_value());
}

TEST_CASE("a second checkpoint takes the place of the first and tells where that was") {
    Running one;
    auto& store = one.store;
    const VmId vm = one.farm.vm;
    CHECK(one.bench.must(store.remember_checkpoint(vm, 1, "/suspended/1")).empty());
    CHECK(one.bench.must(store.remember_checkpoint(vm, 1, "/suspended/2")) == "/suspended/1");
    CHECK(one.bench.must(store.remember_checkpoint(vm, 1, "/suspended/2")).empty());
    CHECK(one.bench.vm(vm).checkpoint->path == "/suspended/2");
    one.stop(1);
    CHECK(one.bench.refusal(store.remember_checkpoint(vm, 1, "/suspended/3")) == "vm.state");
    // On another node nobody can remove it from here.
    const NodeId other = one.bench.add_running_node("node2", "10.3.0.2", 1024);
    one.bench.start(vm, other);
    CHECK(one.bench.must(store.remember_checkpoint(vm, 2, "/suspended/1")).empty());
    CHECK(one.bench.vm(vm).checkpoint->node == other);
}

TEST_CASE("the way back starts on the checkpoint's node, from the image of that time") {
    Running one;
    auto& bench = one.bench;
    auto& store = one.store;
    const VmId vm = one.farm.vm;
    bench.must(store.remember_checkpoint(vm, 1, "/suspended/1"));
    one.stop(1);
    const Di newer = bench.must(store.add_di({one.farm.osf, "newer.qcow2", "2026-12-01-000"}));
    bench.must(store.tag_di(newer.id, "default"));
    bench.must(store.set_node_blocked(one.farm.node, true));
    CHECK(bench.refusal(store.order_restore(vm)) == "node.unavailable");
    bench.must(store.set_node_blocked(one.farm.node, false));
    bench.must(store.order_restore(vm));
    CHECK(bench.refusal(store.order_restore(vm)) == "vm.not_stopped");
    CHECK(bench.must(store.take_start(vm, one.farm.node)).di.id == one.farm.di.id);
    bench.must(store.clear_vm(ended(vm, 2, VmState::starting)));
    CHECK(bench.start(vm, one.farm.node).di.id == newer.id);
    one.stop(3);

    // Without that image there is no way back, whenever it goes.
    bench.must(store.order_restore(vm));
    bench.must(store.delete_di(one.farm.di.id));
    CHECK(bench.refusal(store.take_start(vm, one.farm.node)) == "vm.no_checkpoint");
    CHECK(bench.vm(vm).runtime.state == VmState::failed);
    CHECK(bench.vm(vm).runtime.reason_code == "vm.no_checkpoint");
    CHECK(bench.refusal(store.order_restore(vm)) == "vm.checkpoint_image");
    CHECK(bench.start(vm, one.farm.node).di.id == newer.id);
}

TEST_CASE("a way back that was called off leaves a VM that starts as usual") {
    Running one;
    const VmId vm = one.farm.vm;
    one.bench.must(one.store.remember_checkpoint(vm, 1, "/suspended/1"));
    one.stop(1);
    one.bench.must(one.store.order_restore(vm));
    one.bench.must(one.store.order_stop(vm));
    CHECK_FALSE(one.bench.vm(vm).runtime.from_checkpoint);
    CHECK(one.bench.start(vm, one.farm.node).checkpoint.empty());
}

TEST_CASE(
    "with another owner or another osf a VM forgets its checkpoint, with its name it does not") {
    Running one;
    auto& bench = one.bench;
    const VmId vm = one.farm.vm;
    bench.must(one.store.remember_checkpoint(vm, 1, "/suspended/1"));
    Store::VmEdit edit;
    edit.user = bench.must(one.store.add_user("bob", std::nullopt));
    CHECK(bench.refusal(one.store.edit_vm(vm, edit)) == "vm.not_stopped");
    CHECK(bench.vm(vm).checkpoint.has_value());
    one.stop(1);
    Store::VmEdit name;
    name.name = "other";
    name.di_tag = "head";
    bench.must(one.store.edit_vm(vm, name));
    CHECK(bench.vm(vm).checkpoint.has_value());
    bench.must(one.store.edit_vm(vm, edit));
    CHECK_FALSE(bench.vm(vm).checkpoint.has_value());
}

TEST_CASE("a node that goes takes the checkpoints with it that it had") {
    Running one;
    one.bench.must(one.store.remember_checkpoint(one.farm.vm, 1, "/suspended/1"));
    one.stop(1);
    one.bench.must(one.store.set_node_state(one.farm.node, one.farm.epoch, NodeState::stopped, ""));
    one.bench.must(one.store.delete_node(one.farm.node));
    CHECK_FALSE(one.bench.vm(one.farm.vm).checkpoint.has_value());
}

TEST_CASE("a VM that is to be restarted is ordered to start by the same stroke that stops it") {
    Running one;
    auto& bench = one.bench;
    auto& store = one.store;
    const VmId vm = one.farm.vm;
    CHECK(bench.refusal(store.order_restart(vm, 2)) == "vm.superseded");
    bench.must(store.order_restart(vm, 1));
    CHECK(bench.vm(vm).runtime.restarts);
    one.stop(1);
    const VmRuntime stopped = bench.vm(vm).runtime;
    CHECK(stopped.state == VmState::stopped);
    CHECK(stopped.command == VmCommand::start);
    CHECK(stopped.node == one.farm.node);
    CHECK_FALSE(stopped.restarts);
    CHECK(bench.must(store.nodes())[0].reserved_mib == 256);
    bench.must(store.take_start(vm, one.farm.node));
    bench.must(store.clear_vm(ended(vm, 2, VmState::starting)));
    CHECK_FALSE(bench.vm(vm).runtime.command.has_value());
    CHECK(bench.refusal(store.order_restart(vm, 2)) == "vm.state");
}

TEST_CASE("a restart is called off by a stop, by a failure, and by a node that takes no VMs") {
    Running one;
    auto& bench = one.bench;
    auto& store = one.store;
    const VmId vm = one.farm.vm;
    bench.must(store.order_restart(vm, 1));
    auto stopping = ended(vm, 1, VmState::running, VmState::stopping);
    stopping.phase = 1;
    bench.must(store.transition(stopping));
    bench.must(store.order_stop(vm));
    CHECK(bench.refusal(store.order_stop(vm)) == "vm.not_running");
    bench.must(store.clear_vm(ended(vm, 1, VmState::stopping)));
    CHECK_FALSE(bench.vm(vm).runtime.command.has_value());

    bench.start(vm, one.farm.node);
    bench.must(store.order_restart(vm, 2));
    bench.must(store.clear_vm(ended(vm, 2, VmState::running, VmState::failed)));
    CHECK_FALSE(bench.vm(vm).runtime.command.has_value());

    bench.start(vm, one.farm.node);
    bench.must(store.order_restart(vm, 3));
    bench.must(store.set_node_blocked(one.farm.node, true));
    one.stop(3);
    CHECK_FALSE(bench.vm(vm).runtime.command.has_value());
    CHECK_FALSE(bench.vm(vm).runtime.node.has_value());
    bench.must(store.set_node_blocked(one.farm.node, false));

    bench.start(vm, one.farm.node);
    bench.must(store.order_restart(vm, 4));
    bench.must(store.set_node_state(one.farm.node, one.farm.epoch, NodeState::stopping, ""));
    one.stop(4);
    CHECK_FALSE(bench.vm(vm).runtime.command.has_value());
}

TEST_CASE("an order that was taken and never answered is given back, once, unless a stop came") {
    Running one;
    auto& bench = one.bench;
    auto& store = one.store;
    const VmId vm = one.farm.vm;
    const auto number = bench.must(store.order(vm, VmCommand::pause, ""));
    CHECK(bench.must(store.return_orders(one.farm.node, std::nullopt)) == 0);
    bench.must(store.take_order(vm, one.farm.node));
    CHECK(bench.must(store.return_orders(one.farm.node, VmId{99999})) == 0);
    CHECK(bench.must(store.return_orders(NodeId{99999}, vm)) == 0);
    CHECK(bench.must(store.return_orders(one.farm.node, vm)) == 1);
    CHECK(bench.must(store.return_orders(one.farm.node, vm)) == 0);
    const VmOrder order = bench.must(store.take_order(vm, one.farm.node));
    CHECK(order.command == VmCommand::pause);
    CHECK(order.number == number);
    bench.must(store.answer_order(vm, number, {"", ""}));
    CHECK(bench.must(store.return_orders(one.farm.node, std::nullopt)) == 0);

    const auto lost = bench.must(store.order(vm, VmCommand::snapshot, "monday"));
    bench.must(store.take_order(vm, one.farm.node));
    bench.must(store.order_stop(vm));
    CHECK(bench.must(store.return_orders(one.farm.node, std::nullopt)) == 0);
    bench.must(store.take_stop(vm, one.farm.node));
    bench.must(store.answer_order(vm, lost - 1, {"", ""}));
    CHECK(bench.must(store.return_orders(one.farm.node, std::nullopt)) == 1);
    bench.must(store.take_stop(vm, one.farm.node));
    auto stopping = ended(vm, 1, VmState::running, VmState::stopping);
    stopping.phase = 1;
    bench.must(store.transition(stopping));
    CHECK(bench.must(store.return_orders(one.farm.node, std::nullopt)) == 0);
    bench.must(store.clear_vm(ended(vm, 1, VmState::stopping)));
    CHECK(bench.must(store.return_orders(one.farm.node, std::nullopt)) == 0);
    CHECK(bench.must(store.order_answer(vm, lost))->code == "vm.ended");
}
