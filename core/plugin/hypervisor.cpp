#include "plugin/hypervisor.hpp"

#include "plugin/lent_vm.hpp"
#include "plugin/record.hpp"

#include <algorithm>
#include <array>

namespace qvd::plugin {

namespace {

// Collects the records of one kind into a vector that outlives the call.
template <class Raw, class T>
std::shared_ptr<std::vector<T>> collect_into(CallOptions& options, qvd_kind kind, std::size_t least,
                                             T (*convert)(const Raw&)) {
    auto found = std::make_shared<std::vector<T>>();
    options.collect = [found, kind, least, convert](qvd_kind given, const void* record) {
        if (given != kind) return false;
        const auto raw = copy_record<Raw>(record, least);
        if (raw) found->push_back(convert(*raw));
        return raw.has_value();
    };
    return found;
}

// Texts as a plugin sees them. Not a local class of the coroutine that lends them: g++ 12 destroys
// a variable of such a type twice.
class LentTexts {
public:
    explicit LentTexts(std::vector<std::string> texts) : texts_(std::move(texts)) {
        for (const std::string& text : texts_) raw_.push_back(plugin::raw(text));
        array_ = {raw_.data(), raw_.size(), sizeof(qvd_str)};
    }
    LentTexts(const LentTexts&) = delete;
    LentTexts& operator=(const LentTexts&) = delete;
    ~LentTexts() = default;

    [[nodiscard]] const qvd_array* raw() const { return &array_; }

private:
    std::vector<std::string> texts_;
    std::vector<qvd_str> raw_;
    qvd_array array_{};
};

Error unsupported(const std::string& name) {
    return {ErrorKind::unsupported, "backend.unsupported",
            "the hypervisor " + name + " does not do that"};
}

Error no_answer(const std::string& name) {
    return {ErrorKind::internal, "backend.answer",
            "the hypervisor " + name + " said that it succeeded but handed nothing back"};
}

// What disks and memory are copied for.
bool is_bulk(std::string_view function) {
    static constexpr std::array<std::string_view, 7> all{
        "collect", "prepare_image", "remove_image", "remove_vm", "save", "checkpoint", "snapshot"};
    return std::ranges::find(all, function) != all.end();
}

CallOptions within(Milliseconds limit, std::string_view function, std::string trace = {}) {
    CallOptions options;
    options.bulk = is_bulk(function);
    options.function = function;
    options.limit = limit;
    options.trace = std::move(trace);
    return options;
}

ImageStatus image_status(const qvd_image_status& raw) {
    return {DiId{static_cast<std::int64_t>(raw.di_id)}, text_of(raw.unpacked_path), raw.size_bytes};
}

ConsoleEndpoint console_endpoint(const qvd_endpoint& raw) {
    static constexpr std::array<std::string_view, 4> kinds{"console", "serial", "vnc", "spice"};
    static constexpr std::array<std::string_view, 3> transports{"unix", "tcp", "pty"};
    ConsoleEndpoint endpoint;
    endpoint.kind = kinds.at(std::min<std::size_t>(raw.kind, kinds.size() - 1));
    endpoint.transport = transports.at(std::min<std::size_t>(raw.transport, transports.size() - 1));
    endpoint.address = text_of(raw.address);
    endpoint.port = raw.port;
    return endpoint;
}

VmUsageStatus vm_usage(const qvd_usage& raw) {
    return {raw.cpu_seconds, raw.memory_bytes, raw.disk_bytes};
}

NodeCapacity node_capacity(const qvd_capacity& raw) {
    return {raw.cpus, raw.total_memory_mib, raw.free_memory_mib, raw.idle_cpu, raw.cpu_mhz};
}

SavedVm saved_vm(const qvd_saved& raw) {
    return {text_of(raw.path), raw.size_bytes};
}

}  // namespace

std::uint64_t Hypervisor::capabilities() const {
    if (!instance_->has(&qvd_hypervisor::capabilities)) return 0;
    return instance_->table<qvd_hypervisor>()->capabilities(instance_->self());
}

Hypervisor::Async<void> Hypervisor::vm_call(VmFunction function, VmSpec vm, CallOptions options) {
    if (!instance_->has(function)) co_return unsupported(name());
    const auto lent = std::make_shared<const LentVm>(std::move(vm));
    const auto asked = instance_->table<qvd_hypervisor>()->*function;
    void* self = instance_->self();
    Call::Function body = [asked, self, lent](qvd_call* call) {
        return asked(self, lent->raw(), call);
    };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.failed", name());
    co_return Result<void>{};
}

Hypervisor::Async<void> Hypervisor::vm_text_call(VmTextFunction function, VmSpec vm,
                                                 std::string text, CallOptions options) {
    if (!instance_->has(function)) co_return unsupported(name());
    const auto lent = std::make_shared<const LentVm>(std::move(vm));
    const auto lent_text = std::make_shared<const std::string>(std::move(text));
    const auto asked = instance_->table<qvd_hypervisor>()->*function;
    void* self = instance_->self();
    Call::Function body = [asked, self, lent, lent_text](qvd_call* call) {
        return asked(self, lent->raw(), raw(*lent_text), call);
    };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.failed", name());
    co_return Result<void>{};
}

Hypervisor::Async<SavedVm> Hypervisor::saving_call(VmFunction function, VmSpec vm,
                                                   CallOptions options) {
    const auto found = collect_into(options, QVD_KIND_SAVED, QVD_LEAST(qvd_saved, path), &saved_vm);
    QVD_CO_CHECK(co_await vm_call(function, std::move(vm), std::move(options)));
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

Hypervisor::Async<void> Hypervisor::collect(std::vector<std::string> keep_uuids,
                                            Milliseconds limit) {
    if (!instance_->has(&qvd_hypervisor::collect)) co_return Result<void>{};
    const auto keep = std::make_shared<const LentTexts>(std::move(keep_uuids));
    const auto* table = instance_->table<qvd_hypervisor>();
    void* self = instance_->self();
    CallOptions options = within(limit, "collect");
    Call::Function body = [table, self, keep](qvd_call* call) {
        return table->collect(self, keep->raw(), call);
    };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.collect", name());
    co_return Result<void>{};
}

Hypervisor::Async<std::vector<VmStatus>> Hypervisor::survey(Milliseconds limit) {
    CallOptions options = within(limit, "survey");
    const auto found =
        collect_into(options, QVD_KIND_VM_STATUS, QVD_LEAST(qvd_vm_status, state), &vm_status);
    const auto* table = instance_->table<qvd_hypervisor>();
    void* self = instance_->self();
    Call::Function body = [table, self](qvd_call* call) { return table->survey(self, call); };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.survey", name());
    co_return *found;
}

Hypervisor::Async<ImageStatus> Hypervisor::prepare_image(ImageSpec image, Progress progress,
                                                         Milliseconds limit) {
    if (!instance_->has(&qvd_hypervisor::prepare_image))
        co_return ImageStatus{image.di, image.path, 0};
    CallOptions options = within(limit, "prepare_image");
    options.progress = std::move(progress);
    const auto found = collect_into(options, QVD_KIND_IMAGE_STATUS,
                                    QVD_LEAST(qvd_image_status, unpacked_path), &image_status);
    const auto lent = std::make_shared<const LentImage>(std::move(image));
    const auto* table = instance_->table<qvd_hypervisor>();
    void* self = instance_->self();
    Call::Function body = [table, self, lent](qvd_call* call) {
        return table->prepare_image(self, lent->raw(), call);
    };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.image", name());
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

Hypervisor::Async<void> Hypervisor::remove_image(ImageSpec image, Milliseconds limit) {
    if (!instance_->has(&qvd_hypervisor::remove_image)) co_return Result<void>{};
    const auto lent = std::make_shared<const LentImage>(std::move(image));
    const auto* table = instance_->table<qvd_hypervisor>();
    void* self = instance_->self();
    CallOptions options = within(limit, "remove_image");
    Call::Function body = [table, self, lent](qvd_call* call) {
        return table->remove_image(self, lent->raw(), call);
    };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.image", name());
    co_return Result<void>{};
}

Hypervisor::Async<VmStatus> Hypervisor::start(VmSpec vm, Milliseconds limit, std::string trace) {
    CallOptions options = within(limit, "start", std::move(trace));
    const auto found =
        collect_into(options, QVD_KIND_VM_STATUS, QVD_LEAST(qvd_vm_status, state), &vm_status);
    QVD_CO_CHECK(co_await vm_call(&qvd_hypervisor::start, std::move(vm), std::move(options)));
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

Hypervisor::Async<void> Hypervisor::stop(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "stop");
    co_return co_await vm_call(&qvd_hypervisor::stop, std::move(vm), std::move(options));
}

Hypervisor::Async<void> Hypervisor::destroy_vm(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "destroy_vm");
    co_return co_await vm_call(&qvd_hypervisor::destroy_vm, std::move(vm), std::move(options));
}

Hypervisor::Async<VmStatus> Hypervisor::state(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "state");
    const auto found =
        collect_into(options, QVD_KIND_VM_STATUS, QVD_LEAST(qvd_vm_status, state), &vm_status);
    QVD_CO_CHECK(co_await vm_call(&qvd_hypervisor::state, std::move(vm), std::move(options)));
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

Hypervisor::Async<void> Hypervisor::remove_vm(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "remove_vm");
    co_return co_await vm_call(&qvd_hypervisor::remove_vm, std::move(vm), std::move(options));
}

Hypervisor::Async<std::vector<ConsoleEndpoint>> Hypervisor::console(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "console");
    const auto found = collect_into(options, QVD_KIND_ENDPOINT, QVD_LEAST(qvd_endpoint, address),
                                    &console_endpoint);
    QVD_CO_CHECK(co_await vm_call(&qvd_hypervisor::console, std::move(vm), std::move(options)));
    co_return *found;
}

Hypervisor::Async<VmUsageStatus> Hypervisor::usage(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "usage");
    const auto found =
        collect_into(options, QVD_KIND_USAGE, QVD_LEAST(qvd_usage, cpu_seconds), &vm_usage);
    QVD_CO_CHECK(co_await vm_call(&qvd_hypervisor::usage, std::move(vm), std::move(options)));
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

Hypervisor::Async<NodeCapacity> Hypervisor::capacity(Milliseconds limit) {
    if (!instance_->has(&qvd_hypervisor::capacity)) co_return unsupported(name());
    CallOptions options = within(limit, "capacity");
    const auto found = collect_into(options, QVD_KIND_CAPACITY,
                                    QVD_LEAST(qvd_capacity, free_memory_mib), &node_capacity);
    const auto* table = instance_->table<qvd_hypervisor>();
    void* self = instance_->self();
    Call::Function body = [table, self](qvd_call* call) { return table->capacity(self, call); };
    const Outcome outcome = co_await instance_->call(std::move(options), std::move(body));
    if (outcome.status != QVD_OK) co_return to_error(outcome, "backend.failed", name());
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

Hypervisor::Async<void> Hypervisor::pause(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "pause");
    co_return co_await vm_call(&qvd_hypervisor::pause, std::move(vm), std::move(options));
}

Hypervisor::Async<void> Hypervisor::unpause(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "unpause");
    co_return co_await vm_call(&qvd_hypervisor::unpause, std::move(vm), std::move(options));
}

Hypervisor::Async<void> Hypervisor::reset(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "reset");
    co_return co_await vm_call(&qvd_hypervisor::reset, std::move(vm), std::move(options));
}

Hypervisor::Async<SavedVm> Hypervisor::save(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "save");
    co_return co_await saving_call(&qvd_hypervisor::save, std::move(vm), std::move(options));
}

Hypervisor::Async<void> Hypervisor::restore(VmSpec vm, std::string path, Milliseconds limit) {
    CallOptions options = within(limit, "restore");
    co_return co_await vm_text_call(&qvd_hypervisor::restore, std::move(vm), std::move(path),
                                    std::move(options));
}

Hypervisor::Async<SavedVm> Hypervisor::checkpoint(VmSpec vm, Milliseconds limit) {
    CallOptions options = within(limit, "checkpoint");
    co_return co_await saving_call(&qvd_hypervisor::checkpoint, std::move(vm), std::move(options));
}

Hypervisor::Async<SavedVm> Hypervisor::snapshot(VmSpec vm, std::string snapshot_name,
                                                Milliseconds limit) {
    CallOptions options = within(limit, "snapshot");
    const auto found = collect_into(options, QVD_KIND_SAVED, QVD_LEAST(qvd_saved, path), &saved_vm);
    QVD_CO_CHECK(co_await vm_text_call(&qvd_hypervisor::snapshot, std::move(vm),
                                       std::move(snapshot_name), std::move(options)));
    if (found->empty()) co_return no_answer(name());
    co_return found->back();
}

}  // namespace qvd::plugin
