// qvd/services.hpp - the core's services as C++ classes.
//
// Each is made from a Core and throws Failure(QVD_UNSUPPORTED) if this core lacks the service; make
// them in the plugin's constructor, so that a missing one is told at start. Threads and meanings
// are those of qvd/services.h. What is not found is an empty optional; all other trouble is thrown.
#pragma once

#include <qvd/plugin.hpp>
#include <qvd/services.h>

#include <functional>
#include <memory>
#include <vector>

namespace qvd::sdk {

namespace detail {

// Collects what a service records, and the sentence if it fails.
template <class Each>
class Collector {
public:
    Collector(qvd_kind kind, Each each) : kind_(kind), each_(std::move(each)) {}
    Collector(const Collector&) = delete;
    Collector& operator=(const Collector&) = delete;

    const qvd_sink* sink() noexcept { return &sink_; }
    // Throws unless the status is QVD_OK or `allowed`.
    qvd_status check(qvd_status status, qvd_status allowed = QVD_OK) const {
        if (thrown_) std::rethrow_exception(thrown_);
        if (status == QVD_OK || status == allowed) return status;
        throw Failure(status, sentence_.empty() ? "the core refused without a reason" : sentence_);
    }

private:
    static void record(void* data, qvd_kind kind, const void* raw) noexcept {
        auto* self = static_cast<Collector*>(data);
        if (kind != self->kind_ || self->thrown_) return;
        try {
            self->each_(raw);
        } catch (...) {
            self->thrown_ = std::current_exception();
        }
    }
    static void fail(void* data, qvd_str sentence) noexcept {
        auto* self = static_cast<Collector*>(data);
        try {
            self->sentence_ = view(sentence);
        } catch (...) {
            self->thrown_ = std::current_exception();
        }
    }

    qvd_kind kind_;
    Each each_;
    std::string sentence_;
    std::exception_ptr thrown_;
    qvd_sink sink_{sizeof(qvd_sink), 0, this, &record, &fail};
};

template <class Table>
const Table* needed(const Core& core, const char* id) {
    const Table* table = core.service<Table>(id);
    if (!table) throw Failure(QVD_UNSUPPORTED, std::string("this core has no service ") + id);
    return table;
}

inline const qvd_call* raw_of(const Call* call) noexcept {
    return call ? call->raw() : nullptr;
}

}  // namespace detail

// A node in a snapshot or a placement; lent like what it is in.
class Node {
public:
    explicit Node(const qvd_node* raw) noexcept : raw_(raw) {}
    std::uint64_t id() const noexcept { return raw_->id; }
    std::string_view uuid() const noexcept { return view(raw_->uuid); }
    std::string_view name() const noexcept { return view(raw_->name); }
    std::string_view address() const noexcept { return view(raw_->address); }
    bool blocked() const noexcept { return (raw_->flags & QVD_NODE_BLOCKED) != 0; }
    bool running() const noexcept { return (raw_->flags & QVD_NODE_RUNNING) != 0; }
    double total_memory_mib() const noexcept { return raw_->total_memory_mib; }
    double free_memory_mib() const noexcept { return raw_->free_memory_mib; }
    std::uint32_t cpus() const noexcept { return raw_->cpus; }
    double idle_cpu() const noexcept { return raw_->idle_cpu; }
    double cpu_mhz() const noexcept { return raw_->cpu_mhz; }
    std::uint32_t vms() const noexcept { return raw_->vms; }
    // Nothing if the node never reported its load.
    std::optional<std::chrono::milliseconds> load_age() const noexcept {
        if (raw_->load_age_ms < 0) return std::nullopt;
        return std::chrono::milliseconds(raw_->load_age_ms);
    }
    Properties properties() const noexcept { return Properties(raw_->properties); }

private:
    const qvd_node* raw_;
};

// A VM as the database knows it; lent.
class VmEntry {
public:
    explicit VmEntry(const qvd_vm_entry* raw) noexcept : raw_(raw) {}
    std::uint64_t id() const noexcept { return raw_->id; }
    std::string_view uuid() const noexcept { return view(raw_->uuid); }
    std::string_view name() const noexcept { return view(raw_->name); }
    std::uint64_t user_id() const noexcept { return raw_->user_id; }
    std::string_view user_name() const noexcept { return view(raw_->user_name); }
    std::uint64_t osf_id() const noexcept { return raw_->osf_id; }
    std::string_view osf_name() const noexcept { return view(raw_->osf_name); }
    std::uint64_t di_id() const noexcept { return raw_->di_id; }
    std::string_view di_tag() const noexcept { return view(raw_->di_tag); }
    std::uint64_t node_id() const noexcept { return raw_->node_id; }
    std::string_view state() const noexcept { return view(raw_->state); }
    bool blocked() const noexcept { return (raw_->flags & QVD_VM_ENTRY_BLOCKED) != 0; }
    bool user_connected() const noexcept {
        return (raw_->flags & QVD_VM_ENTRY_USER_CONNECTED) != 0;
    }
    Properties properties() const noexcept { return Properties(raw_->properties); }

private:
    const qvd_vm_entry* raw_;
};

// The farm as the core last saw it; lent.
class Snapshot {
public:
    explicit Snapshot(const qvd_snapshot* raw) noexcept : raw_(raw) {}
    Array<qvd_node, Node> nodes() const noexcept { return Array<qvd_node, Node>(raw_->nodes); }
    Array<qvd_vm_entry, VmEntry> vms() const noexcept {
        return Array<qvd_vm_entry, VmEntry>(raw_->vms);
    }
    std::chrono::milliseconds taken_at() const noexcept {
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
        Held(Held&& other) noexcept : Snapshot(other), raw_(std::move(other.raw_)) {}

    private:
        friend class Inventory;
        using Owner = std::unique_ptr<const qvd_snapshot, std::function<void(const qvd_snapshot*)>>;
        explicit Held(Owner owner) noexcept : Snapshot(owner.get()), raw_(std::move(owner)) {}
        Owner raw_;
    };
    Held take() const {
        const auto* table = table_;
        const qvd_core* core = core_.raw();
        auto give_back = [table, core](const qvd_snapshot* s) { table->give_back(core, s); };
        return Held(Held::Owner(table->take(core), give_back));
    }

private:
    Core core_;
    const qvd_inventory_service* table_;
};

// A user, copied: it outlives the call.
struct User {
    std::uint64_t id = 0;
    std::string login;
    bool blocked = false;
};

// A VM, copied.
struct VmCopy {
    std::uint64_t id = 0;
    std::uint64_t user_id = 0;
    std::uint64_t osf_id = 0;
    std::string name;
    std::string state;
    std::vector<std::pair<std::string, std::string>> properties;
};

// A process, copied.
struct Process {
    std::string label;
    qvd_process_state state = QVD_PROCESS_RUNNING;
    std::int32_t pid = 0;
    std::int32_t exit_code = 0;
    std::uint64_t start_time = 0;
};

namespace detail {

inline User copy_of(const qvd_user* raw) {
    return {raw->id, std::string(view(raw->login)), (raw->flags & QVD_USER_BLOCKED) != 0};
}
inline VmCopy copy_of(const qvd_vm_entry* raw) {
    const VmEntry vm(raw);
    VmCopy copy{vm.id(), vm.user_id(), vm.osf_id(), std::string(vm.name()), std::string(vm.state()),
                {}};
    for (const Property property : vm.properties())
        copy.properties.emplace_back(property.key(), property.value());
    return copy;
}
inline Process copy_of(const qvd_process* raw) {
    return {std::string(view(raw->label)), raw->state, raw->pid, raw->exit_code, raw->start_time};
}
template <class Raw, class Copy>
auto first_of(std::optional<Copy>& copy) {
    return [&copy](const void* raw) { copy = copy_of(static_cast<const Raw*>(raw)); };
}

}  // namespace detail

// Finding and making users and VMs. `call` is the one that it is done for; null: none. [worker]
class Provisioning {
public:
    explicit Provisioning(const Core& core)
        : core_(core),
          table_(detail::needed<qvd_provisioning_service>(core, QVD_CORE_PROVISIONING)) {}

    std::optional<User> find_user(const Call* call, std::string_view login) const {
        return one<User, qvd_user>(QVD_KIND_USER, QVD_NOT_FOUND, [&](const qvd_sink* sink) {
            return table_->find_user(core_.raw(), detail::raw_of(call), str(login), sink);
        });
    }
    User ensure_user(const Call* call, std::string_view login) const {
        return surely(one<User, qvd_user>(QVD_KIND_USER, QVD_OK, [&](const qvd_sink* sink) {
            return table_->ensure_user(core_.raw(), detail::raw_of(call), str(login), sink);
        }));
    }
    std::optional<VmCopy> find_vm(const Call* call, std::uint64_t id) const {
        return one<VmCopy, qvd_vm_entry>(
            QVD_KIND_VM_ENTRY, QVD_NOT_FOUND, [&](const qvd_sink* sink) {
                return table_->find_vm(core_.raw(), detail::raw_of(call), id, str({}), sink);
            });
    }
    // Of one OSF only, unless `osf_id` is 0.
    std::vector<VmCopy> list_vms(const Call* call, std::uint64_t user_id,
                                 std::uint64_t osf_id = 0) const {
        std::vector<VmCopy> vms;
        detail::Collector all(QVD_KIND_VM_ENTRY, [&vms](const void* raw) {
            vms.push_back(detail::copy_of(static_cast<const qvd_vm_entry*>(raw)));
        });
        all.check(table_->list_vms(core_.raw(), detail::raw_of(call), user_id, osf_id, all.sink()));
        return vms;
    }
    // Nothing if the name is taken.
    std::optional<VmCopy> create_vm(const Call* call, std::uint64_t user_id, std::uint64_t osf_id,
                                    std::string_view name, std::string_view di_tag = {}) const {
        const qvd_vm_order order = {sizeof order, 0, user_id, osf_id, str(name), str(di_tag)};
        return one<VmCopy, qvd_vm_entry>(
            QVD_KIND_VM_ENTRY, QVD_CONFLICT, [&](const qvd_sink* sink) {
                return table_->create_vm(core_.raw(), detail::raw_of(call), &order, sink);
            });
    }

private:
    template <class Copy, class Raw, class Ask>
    static std::optional<Copy> one(qvd_kind kind, qvd_status allowed, Ask&& ask) {
        std::optional<Copy> copy;
        detail::Collector first(kind, detail::first_of<Raw>(copy));
        first.check(ask(first.sink()), allowed);
        return copy;
    }
    static User surely(std::optional<User> user) {
        if (!user) throw Failure(QVD_INTERNAL, "the core made a user and did not say which");
        return *std::move(user);
    }

    Core core_;
    const qvd_provisioning_service* table_;
};

// Passwords that the farm itself keeps.
class Accounts {
public:
    explicit Accounts(const Core& core)
        : core_(core), table_(detail::needed<qvd_accounts_service>(core, QVD_CORE_ACCOUNTS)) {}

    // The user if the password is right; nothing if it is wrong or he has none here. [worker]
    std::optional<User> verify_password(const Call* call, std::string_view login,
                                        SecretView password) const {
        std::optional<User> user;
        detail::Collector first(QVD_KIND_USER, detail::first_of<qvd_user>(user));
        const qvd_status status = table_->verify_password(core_.raw(), detail::raw_of(call),
                                                          str(login), password.raw(), first.sink());
        if (status == QVD_NOT_FOUND) return std::nullopt;
        if (first.check(status, QVD_DECLINED) == QVD_DECLINED) return std::nullopt;
        return user;
    }

private:
    Core core_;
    const qvd_accounts_service* table_;
};

// Properties of nodes, users, VMs, OSFs and DIs. [worker]
class PropertyStore {
public:
    explicit PropertyStore(const Core& core)
        : core_(core), table_(detail::needed<qvd_properties_service>(core, QVD_CORE_PROPERTIES)) {}

    std::optional<std::string> get(const Call* call, qvd_scope scope, std::uint64_t id,
                                   std::string_view key) const {
        std::optional<std::string> value;
        detail::Collector first(QVD_KIND_PROPERTY, [&value](const void* raw) {
            value = std::string(Property(static_cast<const qvd_property*>(raw)).value());
        });
        first.check(
            table_->get(core_.raw(), detail::raw_of(call), scope, id, str(key), first.sink()),
            QVD_NOT_FOUND);
        return value;
    }
    std::vector<std::pair<std::string, std::string>> list(const Call* call, qvd_scope scope,
                                                          std::uint64_t id) const {
        std::vector<std::pair<std::string, std::string>> properties;
        detail::Collector all(QVD_KIND_PROPERTY, [&properties](const void* raw) {
            const Property property(static_cast<const qvd_property*>(raw));
            properties.emplace_back(property.key(), property.value());
        });
        all.check(table_->list(core_.raw(), detail::raw_of(call), scope, id, all.sink()));
        return properties;
    }
    // An empty value removes it.
    void set(const Call* call, qvd_scope scope, std::uint64_t id, std::string_view key,
             std::string_view value) const {
        detail::Collector none(0, [](const void*) {});
        none.check(table_->set(core_.raw(), detail::raw_of(call), scope, id, str(key), str(value),
                               none.sink()));
    }

private:
    Core core_;
    const qvd_properties_service* table_;
};

// Log lines with a stable event name. [any]
class EventLog {
public:
    explicit EventLog(const Core& core)
        : core_(core), table_(detail::needed<qvd_log_service>(core, QVD_CORE_LOG)) {}

    bool enabled(std::int32_t level) const { return table_->enabled(core_.raw(), level) != 0; }
    void write(const Call* call, std::int32_t level, std::string_view event,
               std::string_view line) const {
        table_->write(core_.raw(), detail::raw_of(call), level, str(event), str(line));
    }

private:
    Core core_;
    const qvd_log_service* table_;
};

// Declared keys by type. [any]
class Configuration {
public:
    explicit Configuration(const Core& core)
        : core_(core),
          table_(detail::needed<qvd_configuration_service>(core, QVD_CORE_CONFIGURATION)) {}

    std::string_view text(std::string_view key) const {
        qvd_str value{};
        check(table_->get(core_.raw(), str(key), &value), key);
        return view(value);
    }
    std::int64_t integer(std::string_view key) const {
        std::int64_t value = 0;
        check(table_->get_integer(core_.raw(), str(key), &value), key);
        return value;
    }
    double number(std::string_view key) const {
        double value = 0;
        check(table_->get_number(core_.raw(), str(key), &value), key);
        return value;
    }
    bool boolean(std::string_view key) const { return integer(key) != 0; }
    std::chrono::seconds seconds(std::string_view key) const {
        return std::chrono::seconds(integer(key));
    }

private:
    static void check(qvd_status status, std::string_view key) {
        if (status == QVD_NOT_FOUND) throw Failure(QVD_INVALID, std::string(key) + " is not set");
        if (status != QVD_OK)
            throw Failure(status, std::string(key) + " is not declared, or not with this type");
    }

    Core core_;
    const qvd_configuration_service* table_;
};

// One timer, which ends with this object (never from within its own function). It does not move:
// the core holds its address.
class Timer {
public:
    explicit Timer(const Core& core)
        : core_(core), table_(detail::needed<qvd_timers_service>(core, QVD_CORE_TIMERS)) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
    ~Timer() { cancel(); }

    // Calls `fire` once on a worker thread; what it throws is logged. Replaces what was set before.
    void after(std::chrono::milliseconds delay, std::function<void()> fire) {
        cancel();
        fire_ = std::move(fire);
        if (const qvd_status status =
                table_->after(core_.raw(), delay.count(), &Timer::run, this, &timer_);
            status != QVD_OK)
            throw Failure(status, "the core could not set a timer");
    }
    void cancel() noexcept {
        if (timer_ != 0) table_->cancel(core_.raw(), std::exchange(timer_, 0));
    }

private:
    static void run(void* self) noexcept {
        auto* timer = static_cast<Timer*>(self);
        try {
            timer->fire_();
        } catch (const std::exception& e) {
            timer->core_.error(e.what());
        } catch (...) {
            timer->core_.error("a timer threw an exception of an unknown type");
        }
    }

    Core core_;
    const qvd_timers_service* table_;
    std::function<void()> fire_;
    std::uint64_t timer_ = 0;
};

// A counter or gauge; make it in the plugin's constructor.
class Metric {
public:
    Metric(const Core& core, qvd_metric_type type, std::string_view name, std::string_view meaning)
        : core_(core), table_(detail::needed<qvd_metrics_service>(core, QVD_CORE_METRICS)) {
        if (const qvd_status status =
                table_->define(core_.raw(), type, str(name), str(meaning), &metric_);
            status != QVD_OK)
            throw Failure(status, "the core refused the metric " + std::string(name));
    }
    void add(std::int64_t amount = 1) const { table_->add(core_.raw(), metric_, amount); }
    void set(std::int64_t value) const { table_->set(core_.raw(), metric_, value); }

private:
    Core core_;
    const qvd_metrics_service* table_;
    std::uint32_t metric_ = 0;
};

// What Processes::start() is to run.
struct ProcessOrder {
    std::string label;
    std::vector<std::string> arguments;
    std::vector<std::string> environment;
    std::string directory;
    std::string output_path;
    SecretView input{qvd_secret{nullptr, 0}};
    std::uint32_t flags = 0;
};

// Long-lived helpers that outlive the core. Destroy it only with the plugin's instance.
class Processes {
public:
    // `ended` is called for each process that was started or adopted here. [worker]
    Processes(const Core& core, std::function<void(const Process&)> ended)
        : core_(core),
          table_(detail::needed<qvd_processes_service>(core, QVD_CORE_PROCESSES)),
          ended_(std::move(ended)) {}
    Processes(const Processes&) = delete;
    Processes& operator=(const Processes&) = delete;

    Process start(const Call* call, const ProcessOrder& order) {
        const std::vector<qvd_str> arguments = texts(order.arguments);
        const std::vector<qvd_str> environment = texts(order.environment);
        const qvd_process_order raw = {sizeof raw,         order.flags,
                                       str(order.label),   array(arguments),
                                       array(environment), str(order.directory),
                                       order.input.raw(),  str(order.output_path),
                                       &Processes::ended,  this};
        std::optional<Process> process;
        detail::Collector first(QVD_KIND_PROCESS, detail::first_of<qvd_process>(process));
        first.check(table_->start(core_.raw(), detail::raw_of(call), &raw, first.sink()));
        if (!process)
            throw Failure(QVD_INTERNAL, "the core started a process and did not say which");
        return *std::move(process);
    }
    std::vector<Process> list(const Call* call) const {
        std::vector<Process> processes;
        detail::Collector all(QVD_KIND_PROCESS, [&processes](const void* raw) {
            processes.push_back(detail::copy_of(static_cast<const qvd_process*>(raw)));
        });
        all.check(table_->list(core_.raw(), detail::raw_of(call), all.sink()));
        return processes;
    }
    // False if it has ended.
    bool adopt(const Call* call, const Process& process) {
        const qvd_process raw = {sizeof raw,  process.state,     str(process.label),
                                 process.pid, process.exit_code, process.start_time};
        detail::Collector none(0, [](const void*) {});
        return none.check(table_->adopt(core_.raw(), detail::raw_of(call), &raw, &Processes::ended,
                                        this, none.sink()),
                          QVD_NOT_FOUND) == QVD_OK;
    }
    // Both are false if it does not run.
    bool signal(std::string_view label, int number) {
        return sent(table_->signal(core_.raw(), str(label), number), label);
    }
    bool stop(std::string_view label, std::chrono::milliseconds grace) {
        return sent(table_->stop(core_.raw(), str(label), grace.count()), label);
    }

private:
    static void ended(void* self, const qvd_process* raw) noexcept {
        auto* processes = static_cast<Processes*>(self);
        try {
            processes->ended_(detail::copy_of(raw));
        } catch (const std::exception& e) {
            processes->core_.error(e.what());
        } catch (...) {
            processes->core_.error("an exception of an unknown type after a process ended");
        }
    }
    static bool sent(qvd_status status, std::string_view label) {
        if (status == QVD_OK || status == QVD_NOT_FOUND) return status == QVD_OK;
        throw Failure(status, "the core could not signal the process " + std::string(label));
    }
    static std::vector<qvd_str> texts(const std::vector<std::string>& from) {
        std::vector<qvd_str> all;
        all.reserve(from.size());
        for (const std::string& text : from) all.push_back(str(text));
        return all;
    }
    static qvd_array array(const std::vector<qvd_str>& from) noexcept {
        return {from.data(), from.size(), sizeof(qvd_str)};
    }

    Core core_;
    const qvd_processes_service* table_;
    std::function<void(const Process&)> ended_;
};

}  // namespace qvd::sdk
