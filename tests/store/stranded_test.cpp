// What was ordered to a node which died before it did it.
#include "heard.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;
using test::Heard;

namespace {

// node1 has an order and is silent; `other` reports.
struct Stranded {
    explicit Stranded(Bench& bench)
        : farm(bench.farm()), other(bench.add_running_node("node2", "10.3.0.2", 1024)) {
        bench.must(bench.store().order_start(farm.vm, farm.node));
        bench.age_reports();
        bench.report(other, 1, 1024);
    }
    Bench::Farm farm;
    NodeId other;
};

double reserved_on(Bench& bench, NodeId node) {
    for (const NodeRecord& record : bench.must(bench.store().nodes()))
        if (record.node.id == node) return record.reserved_mib;
    return -1;
}

}  // namespace

TEST_CASE("a start is stranded when its node has been silent and has not taken it") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const VmId second = bench.add_vm(farm, "vm2");
    bench.must(store.order_start(farm.vm, farm.node));
    bench.start(second, farm.node);
    CHECK(bench.must(store.stranded_starts()).empty());
    bench.age_reports();
    CHECK(bench.must(store.stranded_starts()) == std::vector<VmId>{farm.vm});
    bench.report(farm.node, farm.epoch, 1024);
    CHECK(bench.must(store.stranded_starts()).empty());
}

TEST_CASE("a stranded start goes to another node with its memory, and that one is told of it") {
    Bench bench;
    const Stranded it(bench);
    auto& store = bench.store();
    Heard heard(bench);
    bench.must(store.move_start(it.farm.vm, it.farm.node, it.other));
    const Announcement told = heard.await(Announcement::What::vm_command);
    CHECK(told.vm == it.farm.vm);
    CHECK(told.node == it.other);
    CHECK(reserved_on(bench, it.farm.node) == 0);
    CHECK(reserved_on(bench, it.other) == 256);
    CHECK(bench.refusal(store.take_start(it.farm.vm, it.farm.node)) == "vm.no_command");
    const StartOrder order = bench.must(store.take_start(it.farm.vm, it.other));
    CHECK(order.record.runtime.incarnation == 1);
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.other, it.farm.node)) == "vm.not_stranded");
}

TEST_CASE("a start is not moved from a node that lives, has taken it, or never had it") {
    Bench bench;
    const Stranded it(bench);
    auto& store = bench.store();
    CHECK(bench.refusal(store.move_start(VmId{99999}, it.farm.node, it.other)) == "vm.not_found");
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.farm.node, NodeId{99999})) ==
          "node.not_found");
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.other, it.other)) == "vm.not_stranded");
    bench.report(it.farm.node, it.farm.epoch, 1024);
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.farm.node, it.other)) == "vm.not_stranded");
    CHECK(bench.refusal(store.give_up_start(it.farm.vm, it.farm.node, "x")) == "vm.not_stranded");
    bench.must(store.take_start(it.farm.vm, it.farm.node));
    bench.age_reports();
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.farm.node, it.other)) == "vm.not_stranded");
    CHECK(bench.refusal(store.give_up_start(it.farm.vm, it.farm.node, "x")) == "vm.not_stranded");
    CHECK(bench.vm(it.farm.vm).runtime.state == VmState::starting);
}

TEST_CASE("a stranded start goes only to a node that runs, is open and has the memory") {
    Bench bench;
    const Stranded it(bench);
    auto& store = bench.store();
    const NodeId small = bench.add_running_node("small", "10.3.0.3", 200);
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.farm.node, small)) == "node.full");
    bench.must(store.set_node_blocked(it.other, true));
    CHECK(bench.refusal(store.move_start(it.farm.vm, it.farm.node, it.other)) ==
          "node.unavailable");
    CHECK(reserved_on(bench, it.farm.node) == 256);
    CHECK(bench.vm(it.farm.vm).runtime.node == it.farm.node);
}

TEST_CASE("of a dead node that comes back and one that takes its start over exactly one starts") {
    Bench bench;
    const Stranded it(bench);
    auto& store = bench.store();
    for (int round = 0; round < 30; ++round) {
        std::optional<Result<StartOrder>> taken;
        std::optional<Result<void>> moved;
        test::begin(bench.loop(), store.take_start(it.farm.vm, it.farm.node), taken);
        test::begin(bench.loop(), store.move_start(it.farm.vm, it.farm.node, it.other), moved);
        bench.turn_until([&] { return taken && moved; });
        CHECK(taken->ok() != moved->ok());
        const VmRecord record = bench.vm(it.farm.vm);
        CHECK(record.runtime.node == (taken->ok() ? it.farm.node : it.other));
        CHECK(record.runtime.state == (taken->ok() ? VmState::starting : VmState::stopped));
        if (taken->ok())
            bench.must(store.clear_vm({it.farm.vm,
                                       record.runtime.incarnation,
                                       {VmState::starting},
                                       VmState::stopped,
                                       0,
                                       "",
                                       false,
                                       false,
                                       "",
                                       std::nullopt}));
        else
            bench.must(store.order_stop(it.farm.vm));
        bench.report(it.farm.node, it.farm.epoch, 1024);
        bench.must(store.order_start(it.farm.vm, it.farm.node));
        bench.age_reports();
        bench.report(it.other, 1, 1024);
    }
}

TEST_CASE("a stranded start that is given up is failed, says why, and gives its memory back") {
    Bench bench;
    const Stranded it(bench);
    auto& store = bench.store();
    CHECK(bench.refusal(store.give_up_start(it.farm.vm, it.other, "x")) == "vm.not_stranded");
    CHECK(bench.refusal(store.give_up_start(VmId{99999}, it.other, "x")) == "vm.not_found");
    bench.must(store.give_up_start(it.farm.vm, it.farm.node, "host node1 died"));
    const VmRecord record = bench.vm(it.farm.vm);
    CHECK(record.runtime.state == VmState::failed);
    CHECK(record.runtime.reason == "host node1 died");
    CHECK(record.runtime.reason_code == "node.lost");
    CHECK_FALSE(record.runtime.command);
    CHECK_FALSE(record.runtime.node);
    CHECK_FALSE(record.runtime.blocked);
    CHECK(reserved_on(bench, it.farm.node) == 0);
    bench.must(store.order_start(it.farm.vm, it.other));
}

TEST_CASE("a start that goes back to its checkpoint is not moved, and may be given up") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    const NodeId other = bench.add_running_node("node2", "10.3.0.2", 1024);
    bench.start(farm.vm, farm.node);
    bench.must(store.set_launch(farm.vm, 1, farm.di.id, "lxc-btrfs"));
    bench.must(store.remember_checkpoint(farm.vm, 1, "/checkpoints/1"));
    bench.must(store.clear_vm(
        {farm.vm, 1, {VmState::running}, VmState::stopped, 0, "", false, false, "", std::nullopt}));
    bench.must(store.order_restore(farm.vm));
    bench.age_reports();
    bench.report(other, 1, 1024);
    CHECK(bench.refusal(store.move_start(farm.vm, farm.node, other)) == "vm.not_stranded");
    CHECK(bench.must(store.stranded_starts()) == std::vector<VmId>{farm.vm});
    bench.must(store.give_up_start(farm.vm, farm.node, "its checkpoint is there"));
    CHECK_FALSE(bench.vm(farm.vm).runtime.from_checkpoint);
}

TEST_CASE("an order is stranded when its node has been silent and has not answered it") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    const std::int64_t number = bench.must(store.order(farm.vm, VmCommand::pause, ""));
    SUBCASE("waiting") {
    }
    SUBCASE("taken") {
        bench.must(store.take_order(farm.vm, farm.node));
    }
    CHECK(bench.must(store.stranded_orders()).empty());
    CHECK(bench.refusal(store.give_up_order(farm.vm, farm.node, "x")) == "vm.not_stranded");
    bench.age_reports();
    CHECK(bench.must(store.stranded_orders()) == std::vector<VmId>{farm.vm});
    CHECK(bench.refusal(store.give_up_order(VmId{99999}, farm.node, "x")) == "vm.not_found");
    bench.must(store.give_up_order(farm.vm, farm.node, "host node1 died"));
    CHECK(bench.must(store.stranded_orders()).empty());
    const auto answer = bench.must(store.order_answer(farm.vm, number));
    REQUIRE(answer.has_value());
    CHECK(answer->code == "node.lost");
    CHECK(answer->text == "host node1 died");
    // The node comes back and finds nothing to do; what it still says of it comes too late.
    CHECK(bench.must(store.return_orders(farm.node, std::nullopt)) == 0);
    CHECK(bench.must(store.pending_commands(farm.node)).empty());
    bench.must(store.answer_order(farm.vm, number, {"", ""}));
    CHECK(bench.must(store.order_answer(farm.vm, number))->code == "node.lost");
    CHECK(bench.vm(farm.vm).runtime.state == VmState::running);
    bench.report(farm.node, farm.epoch, 1024);
    bench.must(store.order(farm.vm, VmCommand::pause, ""));
    CHECK(bench.must(store.stranded_orders()).empty());
}

TEST_CASE(
    "a resumption that is given up gives its memory back, and a stop behind an order stands") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    SUBCASE("resume") {
        bench.must(store.transition({farm.vm, 1, {VmState::running}, VmState::suspended, 0, ""}));
        bench.must(store.order(farm.vm, VmCommand::resume, ""));
        CHECK(reserved_on(bench, farm.node) > 0);
        bench.age_reports();
        bench.must(store.give_up_order(farm.vm, farm.node, "host node1 died"));
        CHECK(reserved_on(bench, farm.node) == 0);
        CHECK(bench.vm(farm.vm).runtime.state == VmState::suspended);
    }
    SUBCASE("stop") {
        bench.must(store.order(farm.vm, VmCommand::pause, ""));
        bench.must(store.order_stop(farm.vm));
        bench.age_reports();
        bench.must(store.give_up_order(farm.vm, farm.node, "host node1 died"));
        CHECK(bench.vm(farm.vm).runtime.command == VmCommand::stop);
    }
}
