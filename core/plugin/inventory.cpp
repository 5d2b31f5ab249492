#include "plugin/inventory.hpp"

#include <algorithm>

namespace qvd::plugin {

PropertyArray::PropertyArray(Properties properties) : properties_(std::move(properties)) {
    raw_.reserve(properties_.size());
    for (const auto& [key, value] : properties_)
        raw_.push_back({sizeof(qvd_property), 0, raw(key), raw(value)});
}

qvd_array PropertyArray::array() const {
    return {raw_.data(), raw_.size(), sizeof(qvd_property)};
}

namespace {

std::int64_t milliseconds_of(Timestamp time) {
    return std::chrono::duration_cast<Milliseconds>(time.time_since_epoch()).count();
}

std::uint64_t raw_id(std::int64_t id) {
    return static_cast<std::uint64_t>(id);
}

// Stored values live as long as the program: string literals.
qvd_str raw_literal(std::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

qvd_node raw_node(const store::NodeRecord& record, qvd_array properties, Timestamp now) {
    const NodeLoad& load = record.runtime.load;
    qvd_node node{};
    node.size = sizeof node;
    if (record.runtime.blocked) node.flags |= QVD_NODE_BLOCKED;
    if (record.runtime.state == NodeState::running) node.flags |= QVD_NODE_RUNNING;
    node.id = raw_id(record.node.id.value());
    node.uuid = raw(record.node.uuid);
    node.name = raw(record.node.name);
    node.address = raw(record.node.address);
    node.total_memory_mib = load.memory_total_mib;
    node.free_memory_mib = std::max(0.0, load.memory_free_mib - record.reserved_mib);
    node.cpus = static_cast<std::uint32_t>(std::max(0, load.cpus));
    node.vms = static_cast<std::uint32_t>(std::max(0, record.vms));
    node.idle_cpu = std::clamp(load.cpu_idle, 0.0, 1.0);
    node.cpu_mhz = load.cpu_bogomips / 2;  // a bogomips pair of a modern core is about one MHz
    node.load_age_ms =
        record.runtime.seen ? milliseconds_of(now) - milliseconds_of(*record.runtime.seen) : -1;
    node.properties = properties;
    return node;
}

qvd_vm_entry raw_vm(const store::VmRecord& record, qvd_array properties) {
    qvd_vm_entry vm{};
    vm.size = sizeof vm;
    if (record.runtime.blocked) vm.flags |= QVD_VM_ENTRY_BLOCKED;
    if (record.session && record.session->state == SessionState::connected)
        vm.flags |= QVD_VM_ENTRY_USER_CONNECTED;
    vm.id = raw_id(record.vm.id.value());
    vm.uuid = raw(record.vm.uuid);
    vm.name = raw(record.vm.name);
    vm.user_id = raw_id(record.vm.user.value());
    vm.user_name = raw(record.user.login);
    vm.osf_id = raw_id(record.vm.osf.value());
    vm.osf_name = raw(record.osf.name);
    vm.di_id = record.di ? raw_id(record.di->id.value()) : 0;
    vm.di_tag = raw(record.vm.di_tag);
    vm.node_id = record.runtime.node ? raw_id(record.runtime.node->value()) : 0;
    vm.state = raw_literal(to_string(record.runtime.state));
    vm.properties = properties;
    return vm;
}

InventoryVms::InventoryVms(std::vector<store::VmRecord> records) : records_(std::move(records)) {
    raw_.reserve(records_.size());
    for (const store::VmRecord& record : records_) raw_.push_back(raw_vm(record, QVD_NO_ARRAY));
}

qvd_array InventoryVms::array() const {
    return {raw_.data(), raw_.size(), sizeof(qvd_vm_entry)};
}

Inventory::Inventory(std::vector<store::NodeRecord> nodes, std::shared_ptr<const InventoryVms> vms,
                     Timestamp taken_at)
    : nodes_(std::move(nodes)), vms_(std::move(vms)) {
    raw_nodes_.reserve(nodes_.size());
    for (const store::NodeRecord& record : nodes_)
        raw_nodes_.push_back(
            raw_node(record, properties_.emplace_back(record.properties).array(), taken_at));
    snapshot_.size = sizeof snapshot_;
    snapshot_.taken_at_ms = milliseconds_of(taken_at);
    snapshot_.nodes = {raw_nodes_.data(), raw_nodes_.size(), sizeof(qvd_node)};
    snapshot_.vms = vms_->array();
}

boost::asio::awaitable<Result<std::shared_ptr<const Inventory>>> Inventories::take() {
    QVD_CO_TRY(auto nodes, co_await store_.nodes());
    if (outdated_) {
        // What is announced while it is read may not be in it any more.
        outdated_ = false;
        auto records = co_await store_.vms();
        if (!records.ok()) {
            outdated_ = true;
            co_return records.error();
        }
        vms_ = std::make_shared<const InventoryVms>(std::move(records).value());
    }
    co_return std::make_shared<const Inventory>(std::move(nodes), vms_,
                                                std::chrono::system_clock::now());
}

boost::asio::awaitable<Result<std::shared_ptr<const Inventory>>> take_inventory(
    store::Store& store) {
    Inventories inventories(store);
    co_return co_await inventories.take();
}

}  // namespace qvd::plugin
