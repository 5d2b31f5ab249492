#include <qvd/load_balancer.hpp>

#include <random>

class Random : public qvd::LoadBalancer {
public:
    std::optional<std::size_t> choose(const qvd::sdk::Placement& placement,
                                      qvd::sdk::Call& /*call*/) override {
        return std::uniform_int_distribution<std::size_t>(0, placement.nodes().size() - 1)(engine_);
    }

private:
    std::mt19937_64 engine_{std::random_device{}()};
};

QVD_PLUGIN("my-random", "1.0.0", "Starts each VM on a node drawn at random.", "Apache-2.0",
           qvd::sdk::provides<Random>())
