// The farm as the core last saw it, in the form that plugins read (sdk/include/qvd/services.h).
#pragma once

#include "base/clock.hpp"
#include "store/store.hpp"

#include <qvd/services.h>

#include <deque>
#include <memory>
#include <vector>

namespace qvd::plugin {

// Properties as a qvd_array; lives where it was made.
class PropertyArray {
public:
    explicit PropertyArray(Properties properties);
    ~PropertyArray() = default;
    PropertyArray(const PropertyArray&) = delete;
    PropertyArray(PropertyArray&&) = delete;
    PropertyArray& operator=(const PropertyArray&) = delete;
    PropertyArray& operator=(PropertyArray&&) = delete;
    [[nodiscard]] qvd_array array() const;

private:
    Properties properties_;
    std::vector<qvd_property> raw_;
};

inline qvd_str raw(const std::string& text) {
    return {text.c_str(), text.size()};
}

// The VMs of inventories: of all of them between which no VM came to look otherwise. Never changes.
class InventoryVms {
public:
    explicit InventoryVms(std::vector<store::VmRecord> records);
    InventoryVms(const InventoryVms&) = delete;
    InventoryVms& operator=(const InventoryVms&) = delete;
    ~InventoryVms() = default;

    // Of qvd_vm_entry.
    [[nodiscard]] qvd_array array() const;

private:
    std::vector<store::VmRecord> records_;
    std::vector<qvd_vm_entry> raw_;
};

// Owns records of nodes and has its share of `vms`; the snapshot points into both. Never changes.
class Inventory {
public:
    Inventory(std::vector<store::NodeRecord> nodes, std::shared_ptr<const InventoryVms> vms,
              Timestamp taken_at);
    Inventory(const Inventory&) = delete;
    Inventory& operator=(const Inventory&) = delete;
    ~Inventory() = default;

    [[nodiscard]] const qvd_snapshot& snapshot() const { return snapshot_; }
    [[nodiscard]] const std::vector<store::NodeRecord>& nodes() const { return nodes_; }

private:
    std::vector<store::NodeRecord> nodes_;
    std::shared_ptr<const InventoryVms> vms_;
    std::deque<PropertyArray> properties_;
    std::vector<qvd_node> raw_nodes_;
    qvd_snapshot snapshot_{};
};

// Inventories of one farm, one after the other. Nodes are read for each: their load changes. VMs
// are many and mostly rest: they are read again only after they were outdated.
class Inventories {
public:
    // Of the event loop that uses it, as `store` is, which must outlive it.
    explicit Inventories(store::Store& store) : store_(store) {}

    // What was announced as Announcement::What::vms or everything: the next inventory shows it.
    void outdate_vms() { outdated_ = true; }
    // One at a time. The error is the store's; what was outdated stays so.
    boost::asio::awaitable<Result<std::shared_ptr<const Inventory>>> take();

private:
    store::Store& store_;
    std::shared_ptr<const InventoryVms> vms_;  // of the last inventory
    bool outdated_ = true;
};

// The farm as it is now.
boost::asio::awaitable<Result<std::shared_ptr<const Inventory>>> take_inventory(
    store::Store& store);

// One record as plugins see it; strings point into `record`, which must outlive the result.
qvd_node raw_node(const store::NodeRecord& record, qvd_array properties, Timestamp now);
qvd_vm_entry raw_vm(const store::VmRecord& record, qvd_array properties);

}  // namespace qvd::plugin
