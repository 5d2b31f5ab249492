// The same balancer as roomy.c: the node with the most free memory, or a failure when the VM asks
// for it. It leans on the C++ runtime on purpose: strings, containers, exceptions, thread_local.
#include <qvd/load_balancer.hpp>

#include <map>
#include <string>

namespace {

thread_local int calls_of_this_thread = 0;

class Roomy : public qvd::LoadBalancer {
public:
    explicit Roomy(const qvd::sdk::Core& core) : core_(core), greeting_(core.config("greeting")) {
        core_.info(greeting_);
    }
    std::optional<std::size_t> choose(const qvd::sdk::Placement& placement,
                                      qvd::sdk::Call& call) override {
        call.put("calls", std::to_string(++calls_of_this_thread));
        if (const auto wish = placement.vm_properties().find("fail"))
            throw qvd::sdk::Failure(QVD_UNAVAILABLE, "as you wish: " + std::string(*wish));
        std::multimap<double, std::size_t> by_memory;
        for (std::size_t i = 0; i < placement.nodes().size(); ++i)
            by_memory.emplace(placement.nodes()[i].free_memory_mib(), i);
        return by_memory.rbegin()->second;
    }

private:
    qvd::sdk::Core core_;
    std::string greeting_;
};

constexpr qvd_config_key keys[] = {
    qvd::sdk::key("greeting", QVD_TEXT, "hello", "What to log first.")};

}  // namespace

QVD_PLUGIN_WITH_KEYS("roomy", "1.0.0", "Starts each VM where most memory is free.", "Apache-2.0",
                     keys, qvd::sdk::provides<Roomy>())
