// The balancer "random": any node that may be chosen, each equally likely.
#include <qvd/load_balancer.hpp>

#include <random>

namespace {

class Random final : public qvd::LoadBalancer {
public:
    std::optional<std::size_t> choose(const qvd::sdk::Placement& placement,
                                      qvd::sdk::Call& /*call*/) override {
        return std::uniform_int_distribution<std::size_t>(0, placement.nodes().size() - 1)(engine_);
    }

private:
    std::mt19937_64 engine_{std::random_device{}()};
};

}  // namespace

QVD_PLUGIN("random", "1.0.0", "Sends each VM to a node drawn at random.", "Apache-2.0",
           qvd::sdk::provides<Random>())
