// qvd/inventory.hpp - nodes and VMs as the core last saw them.
#pragma once

#include <qvd/service.hpp>

#include <functional>
#include <memory>

namespace qvd::sdk {

// A node in a snapshot or a placement; lent like what it is in.
class Node {
public:
    explicit Node(const qvd_node* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::uint64_t id() const noexcept { return raw_->id; }
    [[nodiscard]] std::string_view uuid() const noexcept { return view(raw_->uuid); }
    [[nodiscard]] std::string_view name() const noexcept { return view(raw_->name); }
    [[nodiscard]] std::string_view address() const noexcept { return view(raw_->address); }
    [[nodiscard]] bool blocked() const noexcept { return (raw_->flags & QVD_NODE_BLOCKED) != 0; }
    [[nodiscard]] bool running() const noexcept { return (raw_->flags & QVD_NODE_RUNNING) != 0; }
    [[nodiscard]] double total_memory_mib() const noexcept { return raw_->total_memory_mib; }
    [[nodiscard]] double free_memory_mib() const noexcept { return raw_->free_memory_mib; }
    [[nodiscard]] std::uint32_t cpus() const noexcept { return raw_->cpus; }
    [[nodiscard]] double idle_cpu() const noexcept { return raw_->idle_cpu; }
    [[nodiscard]] double cpu_mhz() const noexcept { return raw_->cpu_mhz; }
    [[nodiscard]] std::uint32_t vms() const noexcept { return raw_->vms; }
    // Nothing if the node never reported its load.
    [[nodiscard]] std::optional<std::chrono::milliseconds> load_age() const noexcept {
        if (raw_->load_age_ms < 0) return std::nullopt;
        return std::chrono::milliseconds(raw_->load_age_ms);
    }
    [[nodiscard]] Properties properties() const noexcept { return Properties(raw_->properties); }

private:
    const qvd_node* raw_;
};

// A VM as the database knows it; lent.
class VmEntry {
public:
    explicit VmEntry(const qvd_vm_entry* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::uint64_t id() const noexcept { return raw_->id; }
    [[nodiscard]] std::string_view uuid() const noexcept { return view(raw_->uuid); }
    [[nodiscard]] std::string_view name() const noexcept { return view(raw_->name); }
    [[nodiscard]] std::uint64_t user_id() const noexcept { return raw_->user_id; }
    [[nodiscard]] std::string_view user_name() const noexcept { return view(raw_->user_name); }
    [[nodiscard]] std::uint64_t osf_id() const noexcept { return raw_->osf_id; }
    [[nodiscard]] std::string_view osf_name() const noexcept { return view(raw_->osf_name); }
    [[nodiscard]] std::uint64_t di_id() const noexcept { return raw_->di_id; }
    [[nodiscard]] std::string_view di_tag() const noexcept { return view(raw_->di_tag); }
    [[nodiscard]] std::uint64_t node_id() const noexcept { return raw_->node_id; }
    [[nodiscard]] std::string_view state() const noexcept { return view(raw_->state); }
    [[nodiscard]] bool blocked() const noexcept {
        return (raw_->flags & QVD_VM_ENTRY_BLOCKED) != 0;
    }
    [[nodiscard]] bool user_connected() const noexcept {
        return (raw_->flags & QVD_VM_ENTRY_USER_CONNECTED) != 0;
    }
    [[nodiscard]] Properties properties() const noexcept { return Properties(raw_->properties); }

private:
    const qvd_vm_entry* raw_;
};

// The farm as the core last saw it; lent.
class Snapshot {
public:
    explicit Snapshot(const qvd_snapshot* raw) noexcept : raw_(raw) {}
    [[nodiscard]] Array<qvd_node, Node> nodes() const noexcept {
        return Array<qvd_node, Node>(raw_->nodes);
    }
    [[nodiscard]] Array<qvd_vm_entry, VmEntry> vms() const noexcept {
        return Array<qvd_vm_entry, VmEntry>(raw_->vms);
    }
    [[nodiscard]] std::chrono::milliseconds taken_at() const noexcept {
        return std::chrono::milliseconds(raw_->taken_at_ms);
    }

private:
    const qvd_snapshot* raw_;
};

class Inventory {
public:
    explicit Inventory(const Core& core)
        : core_(core), table_(detail::needed<qvd_inventory_service>(core, QVD_CORE_INVENTORY)) {}

    // Holds one snapshot until it is destroyed.
    class Held : public Snapshot {
    public:
    private:
        friend class Inventory;
        using Owner = std::unique_ptr<const qvd_snapshot, std::function<void(const qvd_snapshot*)>>;
        explicit Held(Owner owner) noexcept : Snapshot(owner.get()), raw_(std::move(owner)) {}
        Owner raw_;
    };
    [[nodiscard]] Held take() const {
        const auto* table = table_;
        const qvd_core* core = core_.raw();
        auto give_back = [table, core](const qvd_snapshot* s) { table->give_back(core, s); };
        return Held(Held::Owner(table->take(core), give_back));
    }

private:
    Core core_;
    const qvd_inventory_service* table_;
};

}  // namespace qvd::sdk
