#include "plugin/inventory.hpp"
#include "tests/plugin/service_farm.hpp"

namespace qvd::plugin {

TEST_CASE("accounts: without the database nobody can tell") {
    Farm farm;
    farm.room.store.fail_with_unavailable(true);
    Answers answers;
    CHECK(farm.verify("bob", "secret", answers) == QVD_UNAVAILABLE);
    CHECK_FALSE(answers.sentence.empty());
}

TEST_CASE(
    "a service that waits refuses the event loop's thread, and keeps to its call's deadline") {
    const log::Capture log;
    Farm farm;
    const auto* provisioning = farm.service<qvd_provisioning_service>(QVD_CORE_PROVISIONING);
    Answers answers;
    qvd_status on_loop = QVD_OK;
    boost::asio::post(farm.room.loop, [&] {
        on_loop = provisioning->find_user(farm.puppet.core, nullptr, lend("bob"), &answers.sink);
    });
    farm.room.turn_until([&] { return on_loop != QVD_OK; });
    CHECK(on_loop == QVD_INVALID);
    CHECK(log.contains("called a service that waits from a [loop] function"));

    // Nobody turns the loop, so nobody answers.
    std::atomic<qvd_status> late{QVD_PENDING};
    Signal done;
    CallOptions options;
    options.limit = Milliseconds{30};
    auto call =
        std::make_shared<Call>(farm.room.loop, "puppet", options, [&](qvd_call* raw) -> qvd_status {
            late = provisioning->find_user(farm.puppet.core, raw, lend("bob"), &answers.sink);
            done.set();
            return late;
        });
    std::thread worker([call] { call->run(); });
    CHECK(done.wait());
    worker.join();
    CHECK(late == QVD_TIMEOUT);
    farm.room.loop.restart();
    farm.room.loop.poll();
}

TEST_CASE("snapshots show the farm as it was taken, and stay so") {
    Farm farm;
    const auto* inventory = farm.service<qvd_inventory_service>(QVD_CORE_INVENTORY);
    const qvd_core* core = farm.puppet.core;
    const qvd_snapshot* before = inventory->take(core);
    CHECK(before->nodes.count == 0);
    store::NodeRecord node;
    node.node.id = NodeId{7};
    node.node.name = "n7";
    node.runtime.state = NodeState::running;
    node.runtime.load = {4096, 1000, 4, 0.5, 8000};
    node.reserved_mib = 1500;
    node.properties = {{"rack", "3"}};
    const auto no_vms = std::make_shared<const InventoryVms>(std::vector<store::VmRecord>{});
    farm.room.host.set_inventory(std::make_shared<const Inventory>(
        std::vector{node}, no_vms, std::chrono::system_clock::now()));
    const qvd_snapshot* after = inventory->take(core);
    CHECK(before->nodes.count == 0);
    REQUIRE(after->nodes.count == 1);
    const auto& seen = *static_cast<const qvd_node*>(qvd_array_at(&after->nodes, 0));
    CHECK(text(seen.name) == "n7");
    CHECK(seen.flags == QVD_NODE_RUNNING);
    CHECK(seen.free_memory_mib == 0);
    CHECK(seen.load_age_ms == -1);
    CHECK(seen.properties.count == 1);
    inventory->give_back(core, before);
    inventory->give_back(core, after);
    inventory->give_back(core, nullptr);
}

TEST_CASE("a snapshot that a plugin keeps beyond its end is misbehaviour") {
    const log::Capture log;
    {
        Farm farm;
        (void)farm.service<qvd_inventory_service>(QVD_CORE_INVENTORY)->take(farm.puppet.core);
    }
    CHECK(log.contains("kept 1 snapshots beyond its end"));
}

}  // namespace qvd::plugin
