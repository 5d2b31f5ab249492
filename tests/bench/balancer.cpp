// A balancer's decision as the broker asks for it, by the number of nodes: the question's records
// with six properties a node, lent to the plugin "weighted", and its answer. Goals: under 10 us at
// 100 nodes, under 100 us at 1,000.
#include "tests/bench/plugin_room.hpp"

namespace {

using namespace qvd;
using namespace qvd::bench;

plugin::PlacementQuestion question(std::size_t nodes) {
    plugin::PlacementQuestion asked;
    asked.vm.vm.id = VmId{42};
    asked.needed_memory_mib = 512;
    std::vector<store::NodeRecord> candidates;
    for (std::size_t i = 0; i < nodes; ++i) {
        store::NodeRecord node;
        node.node.id = NodeId{static_cast<std::int64_t>(i + 1)};
        node.node.name = "node" + std::to_string(i);
        node.node.address = "10.3.0.1";
        node.runtime.state = NodeState::running;
        node.runtime.seen = std::chrono::system_clock::now();
        const double part = static_cast<double>(i * 7 % 100) / 100;
        node.runtime.load = {65536, 65536 * part, 16, 1 - part, 64000};
        for (const char* key : {"rack", "zone", "gpu", "owner", "room", "generation"})
            node.properties[key] = "value";
        candidates.push_back(std::move(node));
    }
    asked.candidates =
        std::make_shared<const std::vector<store::NodeRecord>>(std::move(candidates));
    return asked;
}

void decision(benchmark::State& state) {
    PluginRoom room;
    plugin::Balancer balancer(room.make("weighted"));
    const auto asked = question(static_cast<std::size_t>(state.range(0)));
    for ([[maybe_unused]] const auto _ : state) {
        auto copy = asked;
        std::chrono::duration<double> took{};
        room.run([&]() -> boost::asio::awaitable<void> {
            const auto before = std::chrono::steady_clock::now();
            const auto chosen = co_await balancer.choose(std::move(copy));
            took = std::chrono::steady_clock::now() - before;
            if (!chosen.ok()) state.SkipWithError("refused");
        });
        state.SetIterationTime(took.count());
    }
}
BENCHMARK(decision)->Arg(1)->Arg(100)->Arg(1000)->UseManualTime();

}  // namespace
