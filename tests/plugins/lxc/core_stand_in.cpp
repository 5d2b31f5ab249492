#include "core_stand_in.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace qvd::test {

namespace {

std::string text(qvd_str s) {
    return s.length == 0 ? std::string() : std::string(s.data, s.length);
}

Told copy_of(const qvd_vm_status& status) {
    return {status.state, status.vm_id,     text(status.uuid),    status.incarnation,
            status.pid,   status.exit_code, text(status.sentence)};
}

}  // namespace

CoreStandIn::CoreStandIn(std::map<std::string, std::string> configuration)
    : configuration_(std::move(configuration)) {
    raw_.owner = this;
    raw_.core.size = sizeof raw_.core;
    raw_.core.abi_major = QVD_ABI_MAJOR;
    raw_.core.abi_minor = QVD_ABI_MINOR;
    raw_.core.draft = QVD_ABI_DRAFT;
    raw_.core.version = qvd_text("test");
    raw_.core.instance = qvd_text("lxc-unionfs");
    raw_.core.log = &write_log;
    raw_.core.config = &config;
    raw_.core.service = &service;
    processes_.size = sizeof processes_;
    processes_.start = &start_process;
    processes_.signal = &signal_process;
    processes_.list = [](const qvd_core*, const qvd_call*, const qvd_sink*) -> qvd_status {
        return QVD_OK;  // it knows of none that another started
    };
    events_.size = sizeof events_;
    events_.report = &report;
}

CoreStandIn::~CoreStandIn() {
    for (std::thread& one : waiting_) one.join();
}

CoreStandIn& CoreStandIn::owner_of(const qvd_core* core) {
    return *reinterpret_cast<const Raw*>(core)->owner;
}

void CoreStandIn::write_log(const qvd_core* core, std::int32_t /*level*/, qvd_str line) {
    CoreStandIn& self = owner_of(core);
    const std::lock_guard lock(self.mutex_);
    self.log_ += text(line) + "\n";
}

qvd_status CoreStandIn::config(const qvd_core* core, const char* key, qvd_str* value) {
    CoreStandIn& self = owner_of(core);
    const auto found = self.configuration_.find(key);
    if (found == self.configuration_.end()) return QVD_INVALID;
    *value = {found->second.data(), found->second.size()};
    return QVD_OK;
}

const void* CoreStandIn::service(const qvd_core* core, const char* id) {
    CoreStandIn& self = owner_of(core);
    if (std::string_view(id) == QVD_CORE_PROCESSES) return &self.processes_;
    if (std::string_view(id) == QVD_CORE_VM_EVENTS) return &self.events_;
    return nullptr;
}

qvd_status CoreStandIn::start_process(const qvd_core* core, const qvd_call* /*call*/,
                                      const qvd_process_order* order, const qvd_sink* sink) {
    const int input = ::memfd_create("input", MFD_CLOEXEC);
    if (::write(input, order->input.data, order->input.length) < 0) return QVD_INTERNAL;
    ::lseek(input, 0, SEEK_SET);
    std::vector<std::string> words;
    for (std::size_t i = 0; i < order->arguments.count; ++i)
        words.push_back(text(*static_cast<const qvd_str*>(qvd_array_at(&order->arguments, i))));
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    char* environment[] = {nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, 0);
    const std::string output = text(order->output_path);
    if (!output.empty()) {
        posix_spawn_file_actions_addopen(&files, 1, output.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                         0600);
        posix_spawn_file_actions_adddup2(&files, 1, 2);
    }
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    pid_t pid = 0;
    const int error =
        ::posix_spawn(&pid, arguments[0], &files, &attributes, arguments.data(), environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    ::close(input);
    if (error != 0) {
        sink->fail(sink->data, qvd_text("there is no such program"));
        return QVD_NOT_FOUND;
    }
    owner_of(core).await(pid, text(order->label), *order);
    qvd_process process{};
    process.size = sizeof process;
    process.label = order->label;
    process.pid = pid;
    sink->record(sink->data, QVD_KIND_PROCESS, &process);
    return QVD_OK;
}

void CoreStandIn::await(pid_t pid, const std::string& label, const qvd_process_order& order) {
    const std::lock_guard lock(mutex_);
    children_[label] = pid;
    waiting_.emplace_back([this, pid, label, ended = order.ended, data = order.data] {
        siginfo_t end{};
        ::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT);
        {
            const std::lock_guard ending(mutex_);
            children_.erase(label);
            ::waitpid(pid, nullptr, 0);
        }
        qvd_process process{};
        process.size = sizeof process;
        process.label = {label.data(), label.size()};
        process.state = end.si_code == CLD_EXITED ? QVD_PROCESS_EXITED : QVD_PROCESS_KILLED;
        process.exit_code = end.si_status;
        process.pid = pid;
        if (ended != nullptr && !dropped_) ended(data, &process);
    });
}

qvd_status CoreStandIn::signal_process(const qvd_core* core, qvd_str label, std::int32_t number) {
    CoreStandIn& self = owner_of(core);
    const std::lock_guard lock(self.mutex_);
    const auto child = self.children_.find(text(label));
    if (child == self.children_.end()) return QVD_NOT_FOUND;
    return ::kill(child->second, number) == 0 ? QVD_OK : QVD_NOT_FOUND;
}

void CoreStandIn::report(const qvd_core* core, const qvd_vm_status* status) {
    CoreStandIn& self = owner_of(core);
    const std::lock_guard lock(self.mutex_);
    self.reports_.push_back(copy_of(*status));
    self.changed_.notify_all();
}

Told CoreStandIn::report_of(std::uint64_t vm_id, std::chrono::seconds patience) {
    std::unique_lock lock(mutex_);
    Told found;
    changed_.wait_for(lock, patience, [&] {
        for (; reports_read_ < reports_.size(); ++reports_read_) {
            if (reports_[reports_read_].vm_id != vm_id) continue;
            found = reports_[reports_read_++];
            return true;
        }
        return false;
    });
    return found;
}

std::vector<Told> CoreStandIn::reports() {
    const std::lock_guard lock(mutex_);
    return reports_;
}

std::string CoreStandIn::log() {
    const std::lock_guard lock(mutex_);
    return log_;
}

CallStandIn::CallStandIn(std::chrono::milliseconds patience)
    : deadline_(std::chrono::steady_clock::now() + patience) {
    static std::uint64_t calls = 0;
    raw_.owner = this;
    raw_.call.size = sizeof raw_.call;
    raw_.call.id = ++calls;
    raw_.call.trace_id = qvd_text("");
    raw_.call.remaining_ms = [](const qvd_call* call) -> std::int64_t {
        const auto left = owner_of(call).deadline_ - std::chrono::steady_clock::now();
        return std::max<std::int64_t>(
            0, std::chrono::duration_cast<std::chrono::milliseconds>(left).count());
    };
    raw_.call.fail = [](qvd_call* call, qvd_str said) { owner_of(call).sentence = text(said); };
    raw_.call.progress = [](qvd_call* call, std::int32_t percent, qvd_str said) {
        CallStandIn& self = owner_of(call);
        const std::lock_guard lock(self.mutex_);
        self.progress.push_back(std::to_string(percent) + " " + text(said));
        if (self.on_progress) self.on_progress();
    };
    raw_.call.put = [](qvd_call*, qvd_str, qvd_str) {};
    raw_.call.result = &result;
    raw_.call.complete = [](qvd_call*, qvd_status) {};
}

CallStandIn& CallStandIn::owner_of(const qvd_call* call) {
    return *reinterpret_cast<const Raw*>(call)->owner;
}

void CallStandIn::result(qvd_call* call, std::uint32_t kind, const void* record) {
    CallStandIn& self = owner_of(call);
    if (kind == QVD_KIND_VM_STATUS)
        self.vms.push_back(copy_of(*static_cast<const qvd_vm_status*>(record)));
    if (kind == QVD_KIND_ENDPOINT)
        self.endpoints.push_back(text(static_cast<const qvd_endpoint*>(record)->address));
    if (kind == QVD_KIND_IMAGE_STATUS) {
        self.unpacked_path = text(static_cast<const qvd_image_status*>(record)->unpacked_path);
        self.image_bytes = static_cast<const qvd_image_status*>(record)->size_bytes;
    }
    if (kind == QVD_KIND_SAVED) self.saved_path = text(static_cast<const qvd_saved*>(record)->path);
    if (kind == QVD_KIND_USAGE) self.usage = *static_cast<const qvd_usage*>(record);
    if (kind == QVD_KIND_CAPACITY) self.capacity = *static_cast<const qvd_capacity*>(record);
}

}  // namespace qvd::test
