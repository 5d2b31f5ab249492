#include "bench.hpp"

namespace qvd::store::test {

Bench::Farm Bench::farm() {
    Farm farm;
    farm.user = must(store().add_user("ann", Secret("hash")));
    Osf osf;
    osf.name = "desktop";
    farm.osf = must(store().add_osf(osf));
    farm.di = must(store().add_di({farm.osf, "desktop.tar", ""}));
    farm.node = must(store().add_node("node1", "10.3.0.1"));
    farm.epoch = must(store().claim_node(farm.node, "boot"));
    NodeLoad load;
    load.memory_total_mib = 1024;
    must(store().heartbeat(farm.node, farm.epoch, load));
    must(store().set_node_state(farm.node, farm.epoch, NodeState::running, ""));
    farm.vm = add_vm(farm, "vm1");
    return farm;
}

VmId Bench::add_vm(const Farm& farm, const std::string& name) {
    return must(
        store().add_vm({name, farm.user, farm.osf, "default", "", "10.3.1.0", "10.3.1.250"}));
}

NodeId Bench::add_running_node(const std::string& name, const std::string& address, double mib) {
    const NodeId node = must(store().add_node(name, address));
    const std::int64_t epoch = must(store().claim_node(node, "boot"));
    NodeLoad load;
    load.memory_total_mib = mib;
    must(store().heartbeat(node, epoch, load));
    must(store().set_node_state(node, epoch, NodeState::running, ""));
    return node;
}

void Bench::report(NodeId node, std::int64_t epoch, double mib) {
    NodeLoad load;
    load.memory_total_mib = mib;
    must(store().heartbeat(node, epoch, load));
}

StartOrder Bench::start(VmId vm, NodeId node) {
    must(store().order_start(vm, node));
    StartOrder order = must(store().take_start(vm, node));
    VmTransition running;
    running.vm = vm;
    running.incarnation = order.record.runtime.incarnation;
    running.from = {VmState::starting};
    running.to = VmState::running;
    must(store().transition(running));
    return order;
}

VmRecord Bench::vm(VmId vm) {
    auto found = must(store().vm(vm));
    REQUIRE(found.has_value());
    return *found;
}

NewSession Bench::session_of(const Farm& farm, const std::string& worker) {
    return {farm.vm, farm.user, "192.0.2.7", farm.node, worker};
}

}  // namespace qvd::store::test
