// The balancer "weighted" (alias "default"): free memory, idle CPU and chance, each by its weight.
#include <qvd/load_balancer.hpp>
#include <qvd/services.hpp>
#include <qvd/weighted_choice.h>

#include <random>

namespace {

constexpr const char* ram_key = "l7r.loadbalancer.plugin.default.weight.ram";
constexpr const char* cpu_key = "l7r.loadbalancer.plugin.default.weight.cpu";
constexpr const char* random_key = "l7r.loadbalancer.plugin.default.weight.random";

class Weighted final : public qvd::LoadBalancer {
public:
    explicit Weighted(const qvd::sdk::Core& core) : weights_(read(core)) {}

    std::optional<std::size_t> choose(const qvd::sdk::Placement& placement,
                                      qvd::sdk::Call& /*call*/) override {
        return qvd_weighted_choice(placement.raw(), weights_, &chance, &engine_);
    }

private:
    static qvd_weights read(const qvd::sdk::Core& core) {
        const qvd::sdk::Configuration keys(core);
        return {keys.number(ram_key), keys.number(cpu_key), keys.number(random_key)};
    }

    static double chance(void* engine) {
        return std::uniform_real_distribution<double>(0, 1)(*static_cast<std::mt19937_64*>(engine));
    }

    qvd_weights weights_;
    std::mt19937_64 engine_{std::random_device{}()};
};

constexpr qvd_config_key keys[] = {
    {sizeof(qvd_config_key), 0, QVD_NUMBER, 0, ram_key, "1",
     "How much free memory counts, relative to the node with the most.", "0..1000000"},
    {sizeof(qvd_config_key), 0, QVD_NUMBER, 0, cpu_key, "1",
     "How much idle CPU counts, relative to the node with the most.", "0..1000000"},
    {sizeof(qvd_config_key), 0, QVD_NUMBER, 0, random_key, "1",
     "How much chance counts, so that equal nodes share the load.", "0..1000000"},
};

}  // namespace

QVD_PLUGIN_WITH_KEYS("weighted", "1.0.0",
                     "Sends a VM to the node with the most free memory and idle CPU, by weights.",
                     "Apache-2.0", keys, qvd::sdk::provides<Weighted>())
