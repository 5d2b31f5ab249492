// What a call into a plugin costs, from the awaiting coroutine and back: choose() of the plugin
// "weighted" on a farm of one node, and of a function that does nothing on a worker thread.
#include "tests/bench/plugin_room.hpp"

namespace {

using namespace qvd::bench;

void quick_call(benchmark::State& state) {
    PluginRoom room;
    const auto instance = room.make("weighted");
    for ([[maybe_unused]] const auto _ : state)
        room.run([&]() -> boost::asio::awaitable<void> {
            qvd::plugin::CallOptions options;
            qvd::plugin::Call::Function function = [](qvd_call*) -> qvd_status { return QVD_OK; };
            const auto outcome =
                co_await instance->call_quick(std::move(options), std::move(function));
            if (outcome.status != QVD_OK) state.SkipWithError("the call failed");
        });
}
BENCHMARK(quick_call);

void worker_call(benchmark::State& state) {
    PluginRoom room;
    const auto instance = room.make("weighted");
    for ([[maybe_unused]] const auto _ : state)
        room.run([&]() -> boost::asio::awaitable<void> {
            qvd::plugin::CallOptions options;
            qvd::plugin::Call::Function function = [](qvd_call*) -> qvd_status { return QVD_OK; };
            const auto outcome = co_await instance->call(std::move(options), std::move(function));
            if (outcome.status != QVD_OK) state.SkipWithError("the call failed");
        });
}
BENCHMARK(worker_call)->UseRealTime();

// The floor: the plugin's function itself, through its table.
void bare_choose(benchmark::State& state) {
    PluginRoom room;
    const auto instance = room.make("weighted");
    const auto* table = instance->table<qvd_load_balancer>();
    qvd_node node{};
    node.size = sizeof node;
    node.free_memory_mib = 1000;
    node.idle_cpu = 0.5;
    qvd_placement placement{};
    placement.size = sizeof placement;
    placement.nodes = {&node, 1, sizeof node};
    qvd_call call{};
    call.size = sizeof call;
    call.result = [](qvd_call*, std::uint32_t, const void*) {};
    for ([[maybe_unused]] const auto _ : state)
        benchmark::DoNotOptimize(table->choose(instance->self(), &placement, &call));
}
BENCHMARK(bare_choose);

}  // namespace
