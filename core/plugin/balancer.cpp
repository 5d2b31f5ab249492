#include "plugin/balancer.hpp"

#include "plugin/keys.hpp"
#include "plugin/record.hpp"

#include <qvd/weighted_choice.h>

namespace qvd::plugin {

namespace asio = boost::asio;

namespace {

constexpr Milliseconds choose_limit{1000};

// A placement that owns everything it points to: it is lent until the call ends. Records and
// properties stay where they are; only the structs that point to them are made.
class LentPlacement {
public:
    LentPlacement(PlacementQuestion question, std::uint32_t needed_cpus, Timestamp now)
        : question_(std::move(question)),
          needed_cpus_(needed_cpus),
          vm_properties_(std::move(question_.vm_properties)),
          user_properties_(std::move(question_.user_properties)),
          osf_properties_(std::move(question_.osf_properties)),
          di_properties_(std::move(question_.di_properties)) {
        add_nodes(now);
        fill();
    }
    LentPlacement(const LentPlacement&) = delete;
    LentPlacement& operator=(const LentPlacement&) = delete;
    ~LentPlacement() = default;

    [[nodiscard]] const qvd_placement* raw() const { return &placement_; }

private:
    void add_nodes(Timestamp now) {
        std::size_t properties = 0;
        for (const store::NodeRecord& node : *question_.candidates)
            properties += node.properties.size();
        // Enough at once: pointers into it must last.
        node_properties_.reserve(properties);
        nodes_.reserve(question_.candidates->size());
        for (const store::NodeRecord& node : *question_.candidates) {
            const qvd_property* const first = node_properties_.data() + node_properties_.size();
            for (const auto& [key, value] : node.properties)
                node_properties_.push_back(
                    {sizeof(qvd_property), 0, plugin::raw(key), plugin::raw(value)});
            nodes_.push_back(
                raw_node(node, {first, node.properties.size(), sizeof(qvd_property)}, now));
        }
    }

    void fill() {
        const store::VmRecord& vm = question_.vm;
        placement_.size = sizeof placement_;
        placement_.vm_id = static_cast<std::uint64_t>(vm.vm.id.value());
        placement_.user_id = static_cast<std::uint64_t>(vm.vm.user.value());
        placement_.osf_id = static_cast<std::uint64_t>(vm.vm.osf.value());
        placement_.di_id = vm.di ? static_cast<std::uint64_t>(vm.di->id.value()) : 0;
        placement_.vm_uuid = plugin::raw(vm.vm.uuid);
        placement_.vm_name = plugin::raw(vm.vm.name);
        placement_.user_name = plugin::raw(vm.user.login);
        placement_.osf_name = plugin::raw(vm.osf.name);
        placement_.di_path = vm.di ? plugin::raw(vm.di->path) : qvd_str{"", 0};
        if (vm.runtime.last_node)
            placement_.last_node_id = static_cast<std::uint64_t>(vm.runtime.last_node->value());
        placement_.needed_cpus = needed_cpus_;
        placement_.needed_memory_mib = question_.needed_memory_mib;
        placement_.vm_properties = vm_properties_.array();
        placement_.user_properties = user_properties_.array();
        placement_.osf_properties = osf_properties_.array();
        placement_.di_properties = di_properties_.array();
        placement_.nodes = {nodes_.data(), nodes_.size(), sizeof(qvd_node)};
    }

    PlacementQuestion question_;
    std::uint32_t needed_cpus_;
    PropertyArray vm_properties_;
    PropertyArray user_properties_;
    PropertyArray osf_properties_;
    PropertyArray di_properties_;
    std::vector<qvd_property> node_properties_;
    std::vector<qvd_node> nodes_;
    qvd_placement placement_{};
};

// What hkd will ask for; containers share their node's processors without a limit.
std::uint32_t needed_cpus(const PlacementQuestion& question, const config::View& view) {
    std::string backend = view.get(hypervisor);
    for (const Properties* properties : {&question.osf_properties, &question.di_properties,
                                         &question.user_properties, &question.vm_properties})
        if (const auto own = properties->find(hypervisor.name);
            own != properties->end() && !own->second.empty())
            backend = own->second;
    return backend.starts_with("lxc") ? 0 : static_cast<std::uint32_t>(view.get(vm_kvm_cpus));
}

std::size_t built_in_choice(const qvd_placement* placement) {
    return qvd_weighted_choice(placement, {1, 1, 0}, nullptr, nullptr);
}

// What the plugin chose, if it did; shared with a call that may outlast who asked.
using Chosen = std::shared_ptr<std::optional<std::uint64_t>>;

// Made outside the coroutine: g++ 12 releases what a closure made inside captures once too often.
decltype(CallOptions::collect) collects_into(const Chosen& chosen) {
    return [chosen](qvd_kind kind, const void* record) {
        if (kind != QVD_KIND_CHOICE) return false;
        const auto choice = copy_record<qvd_choice>(record, QVD_LEAST(qvd_choice, index));
        if (choice) *chosen = choice->index;
        return choice.has_value();
    };
}

Call::Function asks(const qvd_load_balancer* table, void* self,
                    const std::shared_ptr<const LentPlacement>& lent) {
    return [table, self, lent](qvd_call* call) { return table->choose(self, lent->raw(), call); };
}

Call::Function shows(const qvd_load_balancer* table, void* self,
                     const std::shared_ptr<const Inventory>& inventory) {
    return [table, self, inventory](qvd_call* call) {
        return table->init(self, &inventory->snapshot(), call);
    };
}

std::string misbehaviour(const std::string& name, const Outcome& outcome, const Chosen& chosen,
                         std::size_t count) {
    const std::string who = "balancer \"" + name + "\" ";
    if (outcome.status != QVD_OK)
        return who + "answered \"" + std::string(status_name(outcome.status)) +
               "\": " + outcome.sentence;
    if (!*chosen) return who + "chose no node";
    return who + "chose node " + std::to_string(**chosen) + " of " + std::to_string(count);
}

}  // namespace

asio::awaitable<Result<void>> Balancer::init(std::shared_ptr<const Inventory> inventory) {
    if (!instance_->has(&qvd_load_balancer::init)) co_return Result<void>{};
    const auto* table = instance_->table<qvd_load_balancer>();
    void* self = instance_->self();
    CallOptions options;
    options.function = "init";
    Call::Function body = shows(table, self, inventory);
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "plugin.init", name());
    co_return Result<void>{};
}

asio::awaitable<Result<std::size_t>> Balancer::choose(PlacementQuestion question) {
    const std::size_t count = question.candidates->size();
    const std::string vm = question.vm.vm.id.text();
    CallOptions options;
    options.function = "choose";
    options.limit = choose_limit;
    options.trace = question.trace;
    const Chosen chosen = std::make_shared<std::optional<std::uint64_t>>();
    options.collect = collects_into(chosen);
    const std::uint32_t cpus = needed_cpus(question, instance_->host().view());
    const auto lent = std::make_shared<const LentPlacement>(std::move(question), cpus,
                                                            std::chrono::system_clock::now());
    Call::Function body = asks(instance_->table<qvd_load_balancer>(), instance_->self(), lent);
    const Outcome outcome = co_await instance_->call_quick(std::move(options), std::move(body));
    if (outcome.status == QVD_UNAVAILABLE) co_return to_error(outcome, "placement.refused", name());
    if (outcome.status == QVD_OK && *chosen && **chosen < count)
        co_return static_cast<std::size_t>(**chosen);
    log::warn("plugin.misbehaves", {{"plugin", name()}, {"vm", vm}},
              misbehaviour(name(), outcome, chosen, count) + "; the built-in choice is used");
    co_return built_in_choice(lent->raw());
}

}  // namespace qvd::plugin
