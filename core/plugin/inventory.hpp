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

// Owns records; `nodes` and `vms` point into them. Never changes.
class Inventory {
public:
    Inventory(std::vector<store::NodeRecord> nodes, std::vector<store::VmRecord> vms,
              Timestamp taken_at);
    Inventory(const Inventory&) = delete;
    Inventory& operator=(const Inventory&) = delete;
    ~Inventory() = default;

    [[nodiscard]] const qvd_snapshot& snapshot() const { return snapshot_; }
    [[nodiscard]] const std::vector<store::NodeRecord>& nodes() const { return nodes_; }

private:
    std::vector<store::NodeRecord> nodes_;
    std::vector<store::VmRecord> vms_;
    std::deque<PropertyArray> properties_;
    std::vector<qvd_node> raw_nodes_;
    std::vector<qvd_vm_entry> raw_vms_;
    qvd_snapshot snapshot_{};
};

// The farm as it is now.
boost::asio::awaitable<Result<std::shared_ptr<const Inventory>>> take_inventory(
    store::Store& store);

// One record as plugins see it; strings point into `record`, which must outlive the result.
qvd_node raw_node(const store::NodeRecord& record, qvd_array properties, Timestamp now);
qvd_vm_entry raw_vm(const store::VmRecord& record, qvd_array properties);

}  // namespace qvd::plugin
