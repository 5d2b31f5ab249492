// qvd/hypervisor_backend.hpp - running VMs on this node, in C++17.
#pragma once

#include <qvd/hypervisor.h>
#include <qvd/services.hpp>

namespace qvd {

namespace sdk {

class Disk {
public:
    explicit Disk(const qvd_disk* raw) noexcept : raw_(raw) {}
    [[nodiscard]] qvd_disk_role role() const noexcept { return raw_->role; }
    [[nodiscard]] qvd_image_format format() const noexcept { return raw_->format; }
    [[nodiscard]] bool read_only() const noexcept {
        return (raw_->flags & QVD_DISK_READ_ONLY) != 0;
    }
    [[nodiscard]] bool persistent() const noexcept {
        return (raw_->flags & QVD_DISK_PERSISTENT) != 0;
    }
    [[nodiscard]] std::uint64_t di_id() const noexcept { return raw_->di_id; }
    [[nodiscard]] std::string_view path() const noexcept { return view(raw_->path); }
    [[nodiscard]] std::string_view unpacked_path() const noexcept {
        return view(raw_->unpacked_path);
    }
    [[nodiscard]] std::string_view overlay_path() const noexcept {
        return view(raw_->overlay_path);
    }
    [[nodiscard]] std::string_view target() const noexcept { return view(raw_->target); }
    [[nodiscard]] std::uint64_t size_bytes() const noexcept { return raw_->size_bytes; }

private:
    const qvd_disk* raw_;
};

class Address {
public:
    explicit Address(const qvd_address* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::string_view address() const noexcept { return view(raw_->address); }
    [[nodiscard]] std::uint32_t prefix() const noexcept { return raw_->prefix; }
    [[nodiscard]] std::string_view gateway() const noexcept { return view(raw_->gateway); }

private:
    const qvd_address* raw_;
};

class Nic {
public:
    explicit Nic(const qvd_nic* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::string_view mac() const noexcept { return view(raw_->mac); }
    [[nodiscard]] Array<qvd_address, Address> addresses() const noexcept {
        return Array<qvd_address, Address>(raw_->addresses);
    }
    [[nodiscard]] Texts dns() const noexcept { return Texts(raw_->dns); }
    [[nodiscard]] std::string_view domain() const noexcept { return view(raw_->domain); }
    [[nodiscard]] std::string_view bridge() const noexcept { return view(raw_->bridge); }
    [[nodiscard]] std::string_view host_device() const noexcept { return view(raw_->host_device); }
    [[nodiscard]] std::uint32_t mtu() const noexcept { return raw_->mtu; }

private:
    const qvd_nic* raw_;
};

class Device {
public:
    explicit Device(const qvd_device* raw) noexcept : raw_(raw) {}
    [[nodiscard]] qvd_device_kind kind() const noexcept { return raw_->kind; }
    [[nodiscard]] std::string_view address() const noexcept { return view(raw_->address); }
    [[nodiscard]] std::string_view model() const noexcept { return view(raw_->model); }

private:
    const qvd_device* raw_;
};

// Everything that a backend needs to run one VM; lent for the call.
class Vm {
public:
    explicit Vm(const qvd_vm* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::uint64_t id() const noexcept { return raw_->id; }
    [[nodiscard]] std::string_view uuid() const noexcept { return view(raw_->uuid); }
    [[nodiscard]] std::uint64_t incarnation() const noexcept { return raw_->incarnation; }
    [[nodiscard]] std::string_view name() const noexcept { return view(raw_->name); }
    [[nodiscard]] std::uint64_t user_id() const noexcept { return raw_->user_id; }
    [[nodiscard]] std::string_view user_name() const noexcept { return view(raw_->user_name); }
    [[nodiscard]] std::uint64_t osf_id() const noexcept { return raw_->osf_id; }
    [[nodiscard]] std::string_view osf_name() const noexcept { return view(raw_->osf_name); }
    [[nodiscard]] std::uint64_t di_id() const noexcept { return raw_->di_id; }
    [[nodiscard]] std::uint64_t memory_mib() const noexcept { return raw_->memory_mib; }
    [[nodiscard]] std::uint64_t swap_mib() const noexcept { return raw_->swap_mib; }
    [[nodiscard]] std::uint32_t cpus() const noexcept { return raw_->cpus; }
    [[nodiscard]] std::uint32_t cpu_shares() const noexcept { return raw_->cpu_shares; }
    [[nodiscard]] std::string_view cpuset() const noexcept { return view(raw_->cpuset); }
    [[nodiscard]] std::uint32_t agent_port() const noexcept { return raw_->agent_port; }
    [[nodiscard]] SecretView agent_secret() const noexcept {
        return SecretView(raw_->agent_secret);
    }
    [[nodiscard]] std::string_view runtime_path() const noexcept {
        return view(raw_->runtime_path);
    }
    [[nodiscard]] Array<qvd_disk, Disk> disks() const noexcept {
        return Array<qvd_disk, Disk>(raw_->disks);
    }
    [[nodiscard]] Array<qvd_nic, Nic> nics() const noexcept {
        return Array<qvd_nic, Nic>(raw_->nics);
    }
    [[nodiscard]] Array<qvd_device, Device> devices() const noexcept {
        return Array<qvd_device, Device>(raw_->devices);
    }
    [[nodiscard]] Properties properties() const noexcept { return Properties(raw_->properties); }

private:
    const qvd_vm* raw_;
};

// A disk image; lent for the call.
class Image {
public:
    explicit Image(const qvd_image* raw) noexcept : raw_(raw) {}
    [[nodiscard]] std::uint64_t di_id() const noexcept { return raw_->di_id; }
    [[nodiscard]] std::uint64_t osf_id() const noexcept { return raw_->osf_id; }
    [[nodiscard]] qvd_image_format format() const noexcept { return raw_->format; }
    [[nodiscard]] std::string_view path() const noexcept { return view(raw_->path); }
    [[nodiscard]] std::string_view unpacked_path() const noexcept {
        return view(raw_->unpacked_path);
    }
    [[nodiscard]] std::string_view checksum() const noexcept { return view(raw_->checksum); }
    [[nodiscard]] Properties properties() const noexcept { return Properties(raw_->properties); }

private:
    const qvd_image* raw_;
};

// One VM on this node, as the backend sees it.
struct VmStatus {
    qvd_vm_state state = QVD_VM_UNKNOWN;
    std::uint64_t vm_id = 0;
    std::string uuid;
    std::uint64_t incarnation = 0;
    std::int32_t pid = 0;
    std::int32_t exit_code = 0;
    std::chrono::milliseconds since{0};  // since 1970, UTC
    std::string sentence;

    [[nodiscard]] qvd_vm_status raw() const noexcept {
        return {sizeof(qvd_vm_status), state,        vm_id, str(uuid), incarnation, pid, exit_code,
                since.count(),         str(sentence)};
    }
};

struct Endpoint {
    qvd_endpoint_kind kind = QVD_ENDPOINT_CONSOLE;
    qvd_transport transport = QVD_TRANSPORT_UNIX;
    std::uint32_t port = 0;
    std::string address;
    std::string password;
};

struct Usage {
    double cpu_seconds = 0;
    std::uint64_t memory_bytes = 0;
    std::uint64_t disk_bytes = 0;
};

struct Capacity {
    std::uint32_t cpus = 0;
    double total_memory_mib = 0;
    double free_memory_mib = 0;
    double idle_cpu = 0;  // 0 busy .. 1 idle
    double cpu_mhz = 0;
};

struct PreparedImage {
    std::string unpacked_path;
    std::uint64_t size_bytes = 0;
};

struct Saved {
    std::string path;
    std::uint64_t size_bytes = 0;
};

// Tells the core of VMs that came into a state by themselves. [any]
class VmEvents {
public:
    explicit VmEvents(const Core& core)
        : core_(core), table_(detail::needed<qvd_vm_events_service>(core, QVD_CORE_VM_EVENTS)) {}
    void report(const VmStatus& status) const {
        const qvd_vm_status raw = status.raw();
        table_->report(core_.raw(), &raw);
    }

private:
    Core core_;
    const qvd_vm_events_service* table_;
};

namespace detail {
template <class T>
struct HypervisorTable;
}

}  // namespace sdk

// What each function must do, also when repeated, is told in qvd/hypervisor.h. Throw Failure to say
// that it did not work. A function that is not overridden is one that the backend lacks. A class
// that defers a call (Call::defer()) hands its results to the Pending. [worker]
class HypervisorBackend : public sdk::Instance {
public:
    // QVD_CAN_...: which optional functions work here and now. [any]
    virtual std::uint64_t capabilities() { return 0; }

    virtual void collect(sdk::Texts /*keep*/, sdk::Call& /*call*/) {}
    virtual std::vector<sdk::VmStatus> survey(sdk::Call& call) = 0;
    virtual sdk::PreparedImage prepare_image(const sdk::Image& image, sdk::Call& /*call*/) {
        return {std::string(image.path()), 0};
    }
    virtual void remove_image(const sdk::Image& /*image*/, sdk::Call& /*call*/) {}

    virtual sdk::VmStatus start(const sdk::Vm& vm, sdk::Call& call) = 0;
    virtual void stop(const sdk::Vm& vm, sdk::Call& call) = 0;
    virtual void destroy_vm(const sdk::Vm& vm, sdk::Call& call) = 0;
    virtual sdk::VmStatus state(const sdk::Vm& vm, sdk::Call& call) = 0;
    virtual void remove_vm(const sdk::Vm& vm, sdk::Call& call) = 0;

    virtual std::vector<sdk::Endpoint> console(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) {
        lacks("a console");
    }
    virtual sdk::Usage usage(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) { lacks("usage"); }
    virtual sdk::Capacity capacity(sdk::Call& /*call*/) { lacks("capacity"); }

    virtual void pause(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) { lacks("pause"); }
    virtual void unpause(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) { lacks("unpause"); }
    virtual sdk::Saved save(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) { lacks("save"); }
    virtual void restore(const sdk::Vm& /*vm*/, std::string_view /*path*/, sdk::Call& /*call*/) {
        lacks("restore");
    }
    virtual sdk::Saved checkpoint(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) {
        lacks("checkpoint");
    }
    virtual sdk::Saved snapshot(const sdk::Vm& /*vm*/, std::string_view /*name*/,
                                sdk::Call& /*call*/) {
        lacks("snapshot");
    }
    virtual void reset(const sdk::Vm& /*vm*/, sdk::Call& /*call*/) { lacks("reset"); }

    template <class T>
    using Table = sdk::detail::HypervisorTable<T>;

private:
    [[noreturn]] static void lacks(const char* what) {
        throw sdk::Failure(QVD_UNSUPPORTED, std::string("this backend has no ") + what);
    }
};

namespace sdk {

// Handing back results, also by a Pending. `To` is a Call or a Pending.
template <class To>
void put_result(To& to, const VmStatus& status) {
    to.result(QVD_KIND_VM_STATUS, status.raw());
}
template <class To>
void put_result(To& to, const Endpoint& e) {
    to.result(QVD_KIND_ENDPOINT, qvd_endpoint{sizeof(qvd_endpoint), e.kind, e.transport, e.port,
                                              str(e.address), SecretView::of(e.password).raw()});
}
template <class To>
void put_result(To& to, const Usage& u) {
    to.result(QVD_KIND_USAGE,
              qvd_usage{sizeof(qvd_usage), 0, u.cpu_seconds, u.memory_bytes, u.disk_bytes});
}
template <class To>
void put_result(To& to, const Capacity& c) {
    to.result(QVD_KIND_CAPACITY, qvd_capacity{sizeof(qvd_capacity), c.cpus, c.total_memory_mib,
                                              c.free_memory_mib, c.idle_cpu, c.cpu_mhz});
}
template <class To>
void put_result(To& to, const Saved& s) {
    to.result(QVD_KIND_SAVED, qvd_saved{sizeof(qvd_saved), 0, str(s.path), s.size_bytes});
}
template <class To>
void put_result(To& to, std::uint64_t di_id, const PreparedImage& p) {
    to.result(QVD_KIND_IMAGE_STATUS, qvd_image_status{sizeof(qvd_image_status), 0, di_id,
                                                      str(p.unpacked_path), p.size_bytes});
}
template <class To, class Result>
void put_result(To& to, const std::vector<Result>& results) {
    for (const Result& result : results) put_result(to, result);
}

namespace detail {

template <class T>
struct HypervisorTable : Lifetime<HypervisorBackend, T> {
    using Backend = HypervisorBackend;
    static Backend* me(void* self) noexcept { return static_cast<Backend*>(self); }

    // A function of a VM: calls it, and hands back what it returns.
    template <auto Function>
    static qvd_status of_vm(void* self, const qvd_vm* vm, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            if constexpr (std::is_void_v<decltype((me(self)->*Function)(Vm(vm), call))>) {
                (me(self)->*Function)(Vm(vm), call);
            } else {
                const auto result = (me(self)->*Function)(Vm(vm), call);
                if (!call.deferred()) put_result(call, result);
            }
        });
    }
    // A function of the node.
    template <auto Function>
    static qvd_status of_node(void* self, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            const auto result = (me(self)->*Function)(call);
            if (!call.deferred()) put_result(call, result);
        });
    }
    static std::uint64_t capabilities(void* self) noexcept {
        try {
            return me(self)->capabilities();
        } catch (...) {
            return 0;
        }
    }
    static qvd_status collect(void* self, const qvd_array* keep, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) { me(self)->collect(Texts(*keep), call); });
    }
    static qvd_status prepare_image(void* self, const qvd_image* image, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            const PreparedImage prepared = me(self)->prepare_image(Image(image), call);
            if (!call.deferred()) put_result(call, image->di_id, prepared);
        });
    }
    static qvd_status remove_image(void* self, const qvd_image* image, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) { me(self)->remove_image(Image(image), call); });
    }
    static qvd_status restore(void* self, const qvd_vm* vm, qvd_str path, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) { me(self)->restore(Vm(vm), view(path), call); });
    }
    static qvd_status snapshot(void* self, const qvd_vm* vm, qvd_str name, qvd_call* raw) noexcept {
        return guarded(raw, [&](Call& call) {
            const Saved saved = me(self)->snapshot(Vm(vm), view(name), call);
            if (!call.deferred()) put_result(call, saved);
        });
    }

    static constexpr qvd_hypervisor table = {
        sizeof(qvd_hypervisor),
        T::threading,
        &Lifetime<Backend, T>::create,
        &Lifetime<Backend, T>::destroy,
        QVD_SDK_SLOT(T, Backend, cancel, (&Lifetime<Backend, T>::cancel)),
        QVD_SDK_SLOT(T, Backend, capabilities, &capabilities),
        QVD_SDK_SLOT(T, Backend, collect, &collect),
        &of_node<&Backend::survey>,
        QVD_SDK_SLOT(T, Backend, prepare_image, &prepare_image),
        QVD_SDK_SLOT(T, Backend, remove_image, &remove_image),
        &of_vm<&Backend::start>,
        &of_vm<&Backend::stop>,
        &of_vm<&Backend::destroy_vm>,
        &of_vm<&Backend::state>,
        &of_vm<&Backend::remove_vm>,
        QVD_SDK_SLOT(T, Backend, console, (&of_vm<&Backend::console>)),
        QVD_SDK_SLOT(T, Backend, usage, (&of_vm<&Backend::usage>)),
        QVD_SDK_SLOT(T, Backend, capacity, (&of_node<&Backend::capacity>)),
        QVD_SDK_SLOT(T, Backend, pause, (&of_vm<&Backend::pause>)),
        QVD_SDK_SLOT(T, Backend, unpause, (&of_vm<&Backend::unpause>)),
        QVD_SDK_SLOT(T, Backend, save, (&of_vm<&Backend::save>)),
        QVD_SDK_SLOT(T, Backend, restore, &restore),
        QVD_SDK_SLOT(T, Backend, checkpoint, (&of_vm<&Backend::checkpoint>)),
        QVD_SDK_SLOT(T, Backend, snapshot, &snapshot),
        QVD_SDK_SLOT(T, Backend, reset, (&of_vm<&Backend::reset>))};
    static constexpr qvd_interface entry() noexcept { return {QVD_HYPERVISOR, &table}; }
};

}  // namespace detail
}  // namespace sdk
}  // namespace qvd
