#include "plugin/balancer.hpp"
#include "tests/plugin/room.hpp"

#include <array>

namespace qvd::plugin {

using qvd::testing::Room;

namespace {

store::NodeRecord node(double free_mib, double idle, double bogomips = 16000) {
    store::NodeRecord record;
    record.runtime.load = {65536, free_mib, 8, idle, bogomips};
    return record;
}

// How often each of the nodes is chosen in `times` choices.
std::array<int, 3> choices(const std::string& weights, const std::vector<store::NodeRecord>& nodes,
                           int times = 1, const std::string& plugin = "default") {
    Room room("path.plugins = " PLUGINS "\n");
    auto keys = std::make_shared<config::KeySet>(room.host.view().keys());
    const auto library = room.registry.open("weighted").value();
    for (const config::Declaration& key : library->manifest().keys)
        REQUIRE(keys->declare(key).ok());
    room.host.set_view(
        {keys,
         config::Properties::parse("path.plugins = " PLUGINS "\n" + weights, "test.conf").value()});
    Balancer balancer(room.registry.make(QVD_LOAD_BALANCER, plugin).value());
    std::array<int, 3> counts{};
    for (int i = 0; i < times; ++i) {
        PlacementQuestion asked;
        asked.candidates = std::make_shared<const std::vector<store::NodeRecord>>(nodes);
        ++counts.at(room.run(balancer.choose(std::move(asked))).value());
    }
    return counts;
}

std::string weights(const char* ram, const char* cpu, const char* random) {
    const std::string prefix = "l7r.loadbalancer.plugin.default.weight.";
    return prefix + "ram = " + ram + "\n" + prefix + "cpu = " + cpu + "\n" + prefix +
           "random = " + random + "\n";
}

using Counts = std::array<int, 3>;

}  // namespace

TEST_CASE("with the weight of memory alone, the node with most free memory is chosen") {
    CHECK(choices(weights("1", "0", "0"), {node(4000, 1.0), node(9000, 0.0), node(100, 1.0)}, 3) ==
          Counts{0, 3, 0});
}

TEST_CASE("with the weight of the CPU alone, the node with most idle CPU is chosen") {
    CHECK(choices(weights("0", "1", "0"), {node(9000, 0.2), node(9000, 0.3), node(100, 0.9)}, 3) ==
          Counts{0, 0, 3});
    // Half of a big machine is more than all of a small one.
    CHECK(choices(weights("0", "1", "0"),
                  {node(1, 0.5, 64000), node(1, 1.0, 16000), node(1, 0.1, 64000)},
                  3) == Counts{3, 0, 0});
}

TEST_CASE("with the weight of chance alone, each node has its turn, whatever its load") {
    const Counts counts =
        choices(weights("0", "0", "1"), {node(1, 0.0), node(9000, 0.9), node(64000, 1.0)}, 600);
    for (const int count : counts) CHECK(count > 120);
}

TEST_CASE("each weight matters: what it would take alone wins once it is the heaviest") {
    const std::vector nodes{node(9000, 0.1), node(1000, 1.0), node(3000, 0.4)};
    CHECK(choices(weights("5", "1", "0"), nodes) == Counts{1, 0, 0});
    CHECK(choices(weights("1", "5", "0"), nodes) == Counts{0, 1, 0});
    // All together: neither of the two extremes always, for chance has a say.
    const Counts all = choices(weights("1", "1", "3"), nodes, 300);
    for (const int count : all) CHECK(count > 10);
}

TEST_CASE("the weights' proportion counts, not their size, nor how many MiB the nodes have") {
    for (const double scale : {1.0, 1000.0})
        CHECK(choices(weights("0.002", "0.001", "0"),
                      {node(900 * scale, 0.5), node(300 * scale, 1.0), node(10 * scale, 0.9)}) ==
              Counts{1, 0, 0});
}

TEST_CASE("nodes that never reported a load are still chosen") {
    CHECK(choices(weights("1", "1", "0"), {node(0, 0, 0), node(0, 0, 0)}) == Counts{1, 0, 0});
}

TEST_CASE("the balancer random uses every node") {
    const Counts counts =
        choices(weights("1", "1", "1"), {node(1, 0), node(1, 0), node(9999, 1)}, 300, "random");
    for (const int count : counts) CHECK(count > 50);
}

TEST_CASE("a weight below zero, or that is no number, is refused with its key") {
    for (const char* bad : {"-1", "much"}) {
        Room room("path.plugins = " PLUGINS "\n");
        auto keys = std::make_shared<config::KeySet>(room.host.view().keys());
        (void)keys->declare({.name = "l7r.loadbalancer.plugin.default.weight.cpu"});
        room.host.set_view(
            {keys, config::Properties::parse("path.plugins = " PLUGINS
                                             "\nl7r.loadbalancer.plugin.default.weight.cpu = " +
                                                 std::string(bad) + "\n",
                                             "test.conf")
                       .value()});
        const auto made = room.registry.make(QVD_LOAD_BALANCER, "weighted");
        REQUIRE_FALSE(made.ok());
        CHECK(made.error().sentence().find("weight.cpu") != std::string::npos);
    }
}

}  // namespace qvd::plugin
