// Orders besides start and stop, their answers, and failed VMs that are to be started again.
#include "heard.hpp"

using namespace qvd;
using namespace qvd::store;
using test::Bench;
using test::Heard;

namespace {

VmTransition to(VmId vm, std::int64_t incarnation, VmState from, VmState state) {
    VmTransition change;
    change.vm = vm;
    change.incarnation = incarnation;
    change.from = {from};
    change.to = state;
    return change;
}

// Its reservation and what its row says.
double reserved(Bench& bench) {
    return bench.must(bench.store().nodes()).front().reserved_mib;
}

}  // namespace

TEST_CASE("an order goes to the VM's node with its number, and its answer to who waits for it") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    CHECK(bench.refusal(store.order(farm.vm, VmCommand::pause, "")) == "vm.state");
    bench.start(farm.vm, farm.node);
    CHECK(bench.refusal(store.order(farm.vm, VmCommand::unpause, "")) == "vm.state");
    CHECK(bench.refusal(store.order(VmId{99999}, VmCommand::pause, "")) == "vm.not_found");
    const auto number = bench.must(store.order(farm.vm, VmCommand::snapshot, "monday"));
    CHECK(number == 1);
    CHECK(bench.refusal(store.order(farm.vm, VmCommand::pause, "")) == "vm.order_pending");
    const auto pending = bench.must(store.pending_commands(farm.node));
    REQUIRE(pending.size() == 1);
    CHECK(pending.front().second == VmCommand::snapshot);
    const NodeId other = bench.add_running_node("node2", "10.3.0.2", 1024);
    CHECK(bench.refusal(store.take_order(farm.vm, other)) == "vm.no_command");
    const VmOrder order = bench.must(store.take_order(farm.vm, farm.node));
    CHECK(order.command == VmCommand::snapshot);
    CHECK(order.argument == "monday");
    CHECK(order.number == 1);
    CHECK(bench.refusal(store.take_order(farm.vm, farm.node)) == "vm.no_command");
    CHECK_FALSE(bench.must(store.order_answer(farm.vm, 1)).has_value());
    bench.must(store.answer_order(farm.vm, 1, {"", "/snapshots/monday"}));
    const auto answer = bench.must(store.order_answer(farm.vm, 1));
    REQUIRE(answer.has_value());
    CHECK(answer->code.empty());
    CHECK(answer->text == "/snapshots/monday");
    CHECK(bench.must(store.order(farm.vm, VmCommand::pause, "")) == 2);
    CHECK_FALSE(bench.must(store.order_answer(farm.vm, 2)).has_value());
}

TEST_CASE(
    "a suspended VM keeps its node and gives its memory back, and is resumed if there is room") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    CHECK(reserved(bench) == 256);
    auto suspended = to(farm.vm, 1, VmState::running, VmState::suspended);
    suspended.saved_path = "/suspended/1";
    bench.must(store.transition(suspended));
    CHECK(reserved(bench) == 0);
    CHECK(bench.vm(farm.vm).runtime.node == farm.node);
    CHECK(bench.vm(farm.vm).runtime.saved_path == "/suspended/1");

    bench.must(store.set_node_blocked(farm.node, true));
    CHECK(bench.refusal(store.order(farm.vm, VmCommand::resume, "")) == "node.unavailable");
    bench.must(store.set_node_blocked(farm.node, false));
    std::vector<VmId> others;
    for (int i = 2; i <= 5; ++i) others.push_back(bench.add_vm(farm, "vm" + std::to_string(i)));
    for (const VmId vm : others) bench.must(store.order_start(vm, farm.node));
    CHECK(bench.refusal(store.order(farm.vm, VmCommand::resume, "")) == "node.full");
    bench.must(store.order_stop(others.front()));
    const auto number = bench.must(store.order(farm.vm, VmCommand::resume, ""));
    CHECK(reserved(bench) == 1024);
    bench.must(store.take_order(farm.vm, farm.node));
    bench.must(store.answer_order(farm.vm, number, {"backend.failed", "the disk is full"}));
    CHECK(reserved(bench) == 768);
    bench.must(store.order(farm.vm, VmCommand::resume, ""));
    bench.must(store.take_order(farm.vm, farm.node));
    bench.must(store.transition(to(farm.vm, 1, VmState::suspended, VmState::running)));
    CHECK(reserved(bench) == 1024);
    CHECK(bench.vm(farm.vm).runtime.saved_path.empty());
}

TEST_CASE("a VM that ends answers every order that is still open") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    const auto number = bench.must(store.order(farm.vm, VmCommand::suspend, ""));
    bench.must(store.order_stop(farm.vm));
    CHECK(bench.refusal(store.take_order(farm.vm, farm.node)) == "vm.no_command");
    bench.must(store.clear_vm(to(farm.vm, 1, VmState::running, VmState::stopped)));
    CHECK(bench.must(store.order_answer(farm.vm, number))->code == "vm.ended");
}

TEST_CASE("a failed VM says why in a word, and is started again by its node unless called off") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    auto failed = to(farm.vm, 1, VmState::running, VmState::failed);
    failed.code = "vm.no_agent";
    failed.reason = "its agent did not come up";
    failed.failure = true;
    failed.retry_in = std::chrono::minutes(1);
    bench.must(store.clear_vm(failed));
    CHECK(bench.vm(farm.vm).runtime.reason_code == "vm.no_agent");
    const auto planned = bench.must(store.retries(farm.node));
    REQUIRE(planned.size() == 1);
    CHECK(planned.front().first == farm.vm);
    CHECK(planned.front().second <= std::chrono::minutes(1));
    CHECK(planned.front().second > std::chrono::seconds(30));

    bench.must(store.order_stop(farm.vm));
    CHECK(bench.must(store.retries(farm.node)).empty());
    CHECK(bench.refusal(store.retry_start(farm.vm, farm.node)) == "vm.no_retry");
    CHECK(bench.refusal(store.order_stop(farm.vm)) == "vm.not_running");

    bench.start(farm.vm, farm.node);
    CHECK(bench.vm(farm.vm).runtime.reason_code.empty());
    failed.incarnation = 2;
    bench.must(store.clear_vm(failed));
    bench.must(store.retry_start(farm.vm, farm.node));
    CHECK(bench.must(store.retries(farm.node)).empty());
    CHECK(bench.refusal(store.retry_start(farm.vm, farm.node)) == "vm.no_retry");
    CHECK(bench.vm(farm.vm).runtime.command == VmCommand::start);
}

TEST_CASE("the answer to an order is announced to whoever waits for it") {
    Bench bench;
    const auto farm = bench.farm();
    auto& store = bench.store();
    bench.start(farm.vm, farm.node);
    const std::int64_t number = bench.must(store.order(farm.vm, VmCommand::pause, ""));
    Heard heard(bench);
    (void)heard.count(Heard::What::vm_state);
    bench.must(store.answer_order(farm.vm, number, {"backend.failed", "the disk is full"}));
    CHECK(heard.await(Heard::What::vm_state).vm == farm.vm);
    // It is not another answer.
    bench.must(store.answer_order(farm.vm, number, {"", ""}));
    CHECK(heard.count(Heard::What::vm_state) == 0);
}
