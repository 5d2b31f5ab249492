#include "plugin/balancer.hpp"

#include "tests/plugin/room.hpp"

namespace qvd::plugin {

using qvd::testing::Puppet;
using qvd::testing::Room;
using qvd::testing::text;

namespace {

store::NodeRecord node(int id, double free_mib, double idle) {
    store::NodeRecord record;
    record.node.id = NodeId{id};
    record.node.name = "n" + std::to_string(id);
    record.runtime.state = NodeState::running;
    record.runtime.seen = std::chrono::system_clock::now();
    record.runtime.load = {8192, free_mib, 4, idle, 16000};
    record.properties = {{"rack", std::to_string(id)}, {"zone", "a"}};
    return record;
}

PlacementQuestion question() {
    PlacementQuestion asked;
    asked.vm.vm.id = VmId{42};
    asked.vm.vm.name = "bobs";
    asked.vm.user.login = "bob";
    asked.vm.runtime.last_node = NodeId{3};
    asked.needed_memory_mib = 512;
    // The second is what the built-in choice takes.
    asked.candidates = std::make_shared<const std::vector<store::NodeRecord>>(
        std::vector{node(1, 1000, 0.1), node(2, 8000, 0.9), node(3, 2000, 0.2)});
    asked.vm_properties = {{"vip", "1"}};
    return asked;
}

std::shared_ptr<const Inventory> farm_of_one() {
    auto vms = std::make_shared<const InventoryVms>(std::vector<store::VmRecord>{});
    return std::make_shared<const Inventory>(std::vector{node(1, 1, 1)}, std::move(vms),
                                             Timestamp{});
}

struct Bench {
    explicit Bench(const std::string& file = "puppet")
        : balancer(room.make(QVD_LOAD_BALANCER, puppet, "one", file)) {}

    std::size_t chosen() { return room.run(balancer.choose(question())).value(); }

    log::Capture log;
    Puppet puppet;
    Room room;
    Balancer balancer;
};

constexpr std::size_t built_in = 1;

}  // namespace

TEST_CASE("the balancer's choice counts, and it sees VM and nodes as they are") {
    Bench bench;
    bench.puppet.choose = [](const qvd_placement* placement, qvd_call* call) -> qvd_status {
        CHECK(placement->vm_id == 42);
        CHECK(text(placement->user_name) == "bob");
        CHECK(placement->needed_memory_mib == 512);
        CHECK(placement->needed_cpus == 2);
        CHECK(placement->last_node_id == 3);
        CHECK(placement->vm_properties.count == 1);
        REQUIRE(placement->nodes.count == 3);
        for (std::size_t i = 0; i < 3; ++i) {
            const qvd_node* seen = qvd_node_at(placement, i);
            CHECK(seen->id == i + 1);
            REQUIRE(seen->properties.count == 2);
            const auto* rack = static_cast<const qvd_property*>(qvd_array_at(&seen->properties, 0));
            CHECK(text(rack->value) == std::to_string(i + 1));
        }
        return qvd_call_choose(call, 2);
    };
    CHECK(bench.chosen() == 2);
    CHECK_FALSE(bench.log.contains("plugin.misbehaves"));
}

TEST_CASE("a balancer that misbehaves is overruled by the built-in choice and named in the log") {
    struct Case {
        const char* said;
        std::function<qvd_status(const qvd_placement*, qvd_call*)> choose;
    };
    const Case cases[] = {
        {R"(balancer \"one\" chose node 3 of 3)",
         [](const qvd_placement*, qvd_call* call) { return qvd_call_choose(call, 3); }},
        {R"(balancer \"one\" chose no node)",
         [](const qvd_placement*, qvd_call*) -> qvd_status { return QVD_OK; }},
        {R"(answered \"internal\": no idea)",
         [](const qvd_placement*, qvd_call* call) {
             return qvd_call_fail(call, QVD_INTERNAL, "no idea");
         }},
        {R"(answered \"declined\")",
         [](const qvd_placement*, qvd_call*) -> qvd_status { return QVD_DECLINED; }},
        {R"(answered \"internal\": thrown)",
         [](const qvd_placement*, qvd_call*) -> qvd_status { throw std::runtime_error("thrown"); }},
        {"chose no node",
         [](const qvd_placement*, qvd_call* call) -> qvd_status {
             const qvd_choice cut{8, 0, 2};  // its size says that there is no index
             call->result(call, QVD_KIND_CHOICE, &cut);
             return QVD_OK;
         }},
    };
    for (const Case& one : cases) {
        Bench bench;
        bench.puppet.choose = one.choose;
        CAPTURE(one.said);
        CHECK(bench.chosen() == built_in);
        std::string all;
        for (const std::string& line : bench.log.lines()) all += line + "\n";
        CAPTURE(all);
        std::string said = one.said;
        std::erase(said, '\\');
        CHECK(all.find("event=plugin.misbehaves") != std::string::npos);
        CHECK(all.find(said) != std::string::npos);
        CHECK(all.find("the built-in choice is used") != std::string::npos);
    }
}

TEST_CASE("a balancer that hangs is left alone after a second, and the built-in choice is used") {
    Bench bench("puppet-blocking");
    qvd::testing::Signal cancelled;
    bench.puppet.cancel = [&](std::uint64_t) { cancelled.set(); };
    bench.puppet.choose = [&](const qvd_placement*, qvd_call*) -> qvd_status {
        return cancelled.wait() ? QVD_CANCELLED : QVD_OK;
    };
    CHECK(bench.chosen() == built_in);
    CHECK(bench.log.contains("gave no answer within 1000 ms"));
    CHECK(bench.log.contains("the built-in choice is used"));
}

TEST_CASE("a container needs no processors of its own") {
    Bench bench;
    bench.puppet.choose = [](const qvd_placement* placement, qvd_call* call) -> qvd_status {
        CHECK(placement->needed_cpus == 0);
        return qvd_call_choose(call, 0);
    };
    PlacementQuestion asked = question();
    asked.osf_properties = {{"vm.hypervisor", "lxc"}};
    CHECK(bench.room.run(bench.balancer.choose(std::move(asked))).value() == 0);
}

TEST_CASE("an honest refusal is passed on with its sentence") {
    Bench bench;
    bench.puppet.choose = [](const qvd_placement*, qvd_call* call) {
        return qvd_call_fail(call, QVD_UNAVAILABLE, "all nodes are reserved for the exam");
    };
    const auto refused = bench.room.run(bench.balancer.choose(question()));
    REQUIRE_FALSE(refused.ok());
    CHECK(refused.error().kind() == ErrorKind::unavailable);
    CHECK(refused.error().code() == "placement.refused");
    CHECK(refused.error().sentence() == "all nodes are reserved for the exam");
    CHECK_FALSE(bench.log.contains("plugin.misbehaves"));
}

TEST_CASE("init() may be left out") {
    Bench plain("puppet-plain");
    CHECK(plain.room.run(plain.balancer.init(farm_of_one())).ok());
}

TEST_CASE("init() gets the farm, and its failure is told") {
    Bench bench;
    std::size_t nodes = 0;
    bench.puppet.init = [&](const qvd_snapshot* snapshot, qvd_call*) -> qvd_status {
        nodes = snapshot->nodes.count;
        return QVD_OK;
    };
    CHECK(bench.room.run(bench.balancer.init(farm_of_one())).ok());
    CHECK(nodes == 1);
    bench.puppet.init = [](const qvd_snapshot*, qvd_call* call) {
        return qvd_call_fail(call, QVD_INVALID, "needs ten nodes");
    };
    const auto failed = bench.room.run(bench.balancer.init(farm_of_one()));
    REQUIRE_FALSE(failed.ok());
    CHECK(failed.error().sentence() == "needs ten nodes");
}

}  // namespace qvd::plugin
