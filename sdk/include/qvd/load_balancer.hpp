// qvd/load_balancer.hpp - writing a load balancer in C++17.
#pragma once

#include <qvd/inventory.hpp>
#include <qvd/load_balancer.h>

namespace qvd {

namespace sdk {

// What is to be placed, and where it may go; lent for the call.
class Placement {
public:
    explicit Placement(const qvd_placement* raw) noexcept : raw_(raw) {}
    [[nodiscard]] Array<qvd_node, Node> nodes() const noexcept {
        return Array<qvd_node, Node>(raw_->nodes);
    }
    [[nodiscard]] std::uint64_t vm_id() const noexcept { return raw_->vm_id; }
    [[nodiscard]] std::uint64_t user_id() const noexcept { return raw_->user_id; }
    [[nodiscard]] std::uint64_t osf_id() const noexcept { return raw_->osf_id; }
    [[nodiscard]] std::uint64_t di_id() const noexcept { return raw_->di_id; }
    [[nodiscard]] std::string_view vm_uuid() const noexcept { return view(raw_->vm_uuid); }
    [[nodiscard]] std::string_view vm_name() const noexcept { return view(raw_->vm_name); }
    [[nodiscard]] std::string_view user_name() const noexcept { return view(raw_->user_name); }
    [[nodiscard]] std::string_view osf_name() const noexcept { return view(raw_->osf_name); }
    [[nodiscard]] std::string_view di_path() const noexcept { return view(raw_->di_path); }
    [[nodiscard]] std::uint64_t last_node_id() const noexcept { return raw_->last_node_id; }
    [[nodiscard]] double needed_memory_mib() const noexcept { return raw_->needed_memory_mib; }
    [[nodiscard]] std::uint32_t needed_cpus() const noexcept { return raw_->needed_cpus; }
    [[nodiscard]] Properties vm_properties() const noexcept {
        return Properties(raw_->vm_properties);
    }
    [[nodiscard]] Properties user_properties() const noexcept {
        return Properties(raw_->user_properties);
    }
    [[nodiscard]] Properties osf_properties() const noexcept {
        return Properties(raw_->osf_properties);
    }
    [[nodiscard]] Properties di_properties() const noexcept {
        return Properties(raw_->di_properties);
    }
    [[nodiscard]] const qvd_placement* raw() const noexcept { return raw_; }

private:
    const qvd_placement* raw_;
};

// The choice of a call that was deferred; complete it afterwards.
inline void choose_node(Pending& pending, std::size_t index) {
    pending.result(QVD_KIND_CHOICE, qvd_choice{sizeof(qvd_choice), 0, index});
}

namespace detail {
template <class T>
struct LoadBalancerTable;
}

}  // namespace sdk

class LoadBalancer : public sdk::Instance {
public:
    // Once, when the core knows the farm, and before the first choose(). [worker]
    virtual void init(const sdk::Snapshot& /*farm*/, sdk::Call& /*call*/) {}

    // An index into placement.nodes(), or nothing if none of them will do. [loop]
    virtual std::optional<std::size_t> choose(const sdk::Placement& placement, sdk::Call& call) = 0;

    template <class T>
    using Table = sdk::detail::LoadBalancerTable<T>;
};

namespace sdk::detail {

template <class T>
struct LoadBalancerTable : Lifetime<LoadBalancer, T> {
    static qvd_status init(void* self, const qvd_snapshot* snapshot, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            static_cast<LoadBalancer*>(self)->init(Snapshot(snapshot), call);
        });
    }
    static qvd_status choose(void* self, const qvd_placement* raw_placement,
                             qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) -> qvd_status {
            const auto chosen =
                static_cast<LoadBalancer*>(self)->choose(Placement(raw_placement), call);
            if (call.deferred()) return QVD_PENDING;
            if (!chosen) throw Failure(QVD_UNAVAILABLE, "none of the nodes will do");
            return qvd_call_choose(raw, *chosen);
        });
    }
    static constexpr qvd_load_balancer table = {
        sizeof(qvd_load_balancer),
        T::threading,
        &Lifetime<LoadBalancer, T>::create,
        &Lifetime<LoadBalancer, T>::destroy,
        QVD_SDK_SLOT(T, LoadBalancer, cancel, (&Lifetime<LoadBalancer, T>::cancel)),
        QVD_SDK_SLOT(T, LoadBalancer, init, &init),
        &choose};
    static constexpr qvd_interface entry() noexcept { return {QVD_LOAD_BALANCER, &table}; }
};

}  // namespace sdk::detail
}  // namespace qvd
