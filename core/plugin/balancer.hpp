// The load balancer plugin as the core uses it.
#pragma once

#include "plugin/instance.hpp"

namespace qvd::plugin {

// What is to be placed; `candidates` may all be chosen (running, not blocked, room enough).
struct PlacementQuestion {
    store::VmRecord vm;
    double needed_memory_mib = 0;
    // Shared, so that neither who asks nor who answers copies the farm.
    std::shared_ptr<const std::vector<store::NodeRecord>> candidates;
    Properties vm_properties;
    Properties user_properties;
    Properties osf_properties;
    Properties di_properties;
    std::string trace;
};

class Balancer {
public:
    explicit Balancer(std::shared_ptr<Instance> instance) : instance_(std::move(instance)) {}

    // init() with the farm as it is, once.
    boost::asio::awaitable<Result<void>> init(std::shared_ptr<const Inventory> inventory);

    // Which of `candidates` (never empty). Only an honest "none of them" of the plugin is an error
    // (unavailable "placement.refused"); for every misbehaviour the built-in choice answers and the
    // log names the plugin.
    boost::asio::awaitable<Result<std::size_t>> choose(PlacementQuestion question);

    [[nodiscard]] const std::string& name() const { return instance_->name(); }

private:
    std::shared_ptr<Instance> instance_;
};

}  // namespace qvd::plugin
