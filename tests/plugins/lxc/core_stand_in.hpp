// A core for one instance of a plugin: its configuration, its log, and the two services that a
// backend for containers needs. Enough to use the plugin through its C table alone.
#pragma once

#include <qvd/hypervisor.h>
#include <qvd/services.h>

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace qvd::test {

// What the core was told of a VM, copied.
struct Told {
    qvd_vm_state state = QVD_VM_UNKNOWN;
    std::uint64_t vm_id = 0;
    std::string uuid;
    std::uint64_t incarnation = 0;
    int pid = 0;
    int exit_code = 0;
    std::string sentence;
};

class CoreStandIn {
public:
    explicit CoreStandIn(std::map<std::string, std::string> configuration);
    CoreStandIn(const CoreStandIn&) = delete;
    CoreStandIn& operator=(const CoreStandIn&) = delete;
    // Waits for the processes that it started: end what they hold first.
    ~CoreStandIn();

    const qvd_core* raw() const { return &raw_.core; }
    // The next report of this VM, waited for.
    Told report_of(std::uint64_t vm_id, std::chrono::seconds patience = std::chrono::seconds(10));
    std::vector<Told> reports();
    std::string log();
    // The plugin's instance is about to go: what ends from now on is nobody's business.
    void drop() { dropped_ = true; }

private:
    struct Raw {
        qvd_core core;  // first: what the plugin gets back points here
        CoreStandIn* owner;
    };
    static CoreStandIn& owner_of(const qvd_core* core);
    static void write_log(const qvd_core* core, std::int32_t level, qvd_str line);
    static qvd_status config(const qvd_core* core, const char* key, qvd_str* value);
    static const void* service(const qvd_core* core, const char* id);
    static qvd_status start_process(const qvd_core* core, const qvd_call* call,
                                    const qvd_process_order* order, const qvd_sink* sink);
    static qvd_status signal_process(const qvd_core* core, qvd_str label, std::int32_t number);
    static void report(const qvd_core* core, const qvd_vm_status* status);
    // Waits for its end, on a thread of its own, and tells the plugin.
    void await(pid_t pid, const std::string& label, const qvd_process_order& order);

    Raw raw_{};
    qvd_processes_service processes_{};
    qvd_vm_events_service events_{};
    std::map<std::string, std::string> configuration_;
    std::atomic<bool> dropped_{false};
    std::mutex mutex_;  // guards what follows
    std::condition_variable changed_;
    std::vector<Told> reports_;
    std::size_t reports_read_ = 0;
    std::string log_;
    std::map<std::string, pid_t> children_;  // that have not ended
    std::vector<std::thread> waiting_;
};

// One call, which collects what it is handed.
class CallStandIn {
public:
    explicit CallStandIn(std::chrono::milliseconds patience = std::chrono::seconds(30));
    CallStandIn(const CallStandIn&) = delete;
    CallStandIn& operator=(const CallStandIn&) = delete;

    qvd_call* raw() { return &raw_.call; }

    std::function<void()> on_progress;
    std::string sentence;
    std::vector<std::string> progress;
    std::vector<Told> vms;
    std::vector<std::string> endpoints;
    std::string unpacked_path;
    std::uint64_t image_bytes = 0;
    qvd_usage usage{};
    qvd_capacity capacity{};
    std::string saved_path;

private:
    struct Raw {
        qvd_call call;  // first
        CallStandIn* owner;
    };
    static CallStandIn& owner_of(const qvd_call* call);
    static void result(qvd_call* call, std::uint32_t kind, const void* record);

    Raw raw_{};
    std::chrono::steady_clock::time_point deadline_;
    std::mutex mutex_;
};

}  // namespace qvd::test
