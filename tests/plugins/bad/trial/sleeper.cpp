// A hypervisor whose VMs are sleeping processes: it passes the suite, unless the key sleeper.flaw
// names the one thing that it is to do wrong.
#include <qvd/hypervisor_backend.hpp>
#include <qvd/processes.hpp>

#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace {

using namespace qvd::sdk;

std::string label_of(const Vm& vm) {
    return "vm-" + std::to_string(vm.id()) + "-" + std::to_string(vm.incarnation());
}

bool exists(const std::string& path) {
    struct stat found {};
    return ::stat(path.c_str(), &found) == 0;
}

class Sleeper : public qvd::HypervisorBackend {
public:
    // destroy_vm() waits for what ended() hears.
    static constexpr qvd_threading threading = QVD_CONCURRENT;

    explicit Sleeper(const Core& core)
        : flaw_(core.config("sleeper.flaw")),
          folder_(std::string(core.config("path.run")) + "/sleeper-"),
          events_(core),
          processes_(core, [this](const Process& process) { ended(process); }) {}

    std::vector<VmStatus> survey(Call& call) override {
        std::vector<VmStatus> found;
        if (flaw_ == "forgets") return found;
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const Process& process : processes_.list(&call)) {
            const bool mine = running_.contains(process.label);
            if (!mine && (flaw_ == "amnesia" || !processes_.adopt(&call, process))) continue;
            VmStatus& status = running_[process.label];
            if (!mine) status = recorded(process);
            found.push_back(status);
        }
        return found;
    }
    PreparedImage prepare_image(const Image& image, Call&) override {
        std::string begin;
        std::getline(std::ifstream(std::string(image.path())), begin);
        if (begin == "This is no image." && flaw_ != "swallows")
            throw Failure(QVD_INVALID, "this is no image");
        return {std::string(image.path()), 1};
    }
    VmStatus start(const Vm& vm, Call& call) override {
        if (!exists(std::string((*vm.disks().begin()).path())) && flaw_ != "swallows")
            throw Failure(QVD_NOT_FOUND, "there is no such image");
        const std::lock_guard<std::mutex> lock(mutex_);
        for (auto& [label, status] : running_) {
            if (status.vm_id != vm.id()) continue;
            if (status.incarnation != vm.incarnation())
                throw Failure(QVD_CONFLICT, "an older start of this VM still runs");
            if (flaw_ == "twice") ++status.pid;
            return status;
        }
        ProcessOrder order;
        order.label = label_of(vm);
        order.arguments = {"/bin/sleep", "100000"};
        order.flags = QVD_PROCESS_CLOSE_OUTPUT;
        const Process process = processes_.start(&call, order);
        std::ofstream(folder_ + order.label)
            << vm.uuid() << " " << vm.id() << " " << vm.incarnation();
        return running_[order.label] = recorded(process);
    }
    void stop(const Vm& vm, Call&) override { processes_.signal(label_of(vm), SIGTERM); }
    void destroy_vm(const Vm& vm, Call&) override {
        if (flaw_ == "leaves") return;
        for (const std::string& label : labels_of(vm.id())) processes_.signal(label, SIGKILL);
        while (!labels_of(vm.id()).empty()) std::this_thread::yield();
    }
    VmStatus state(const Vm& vm, Call&) override {
        const std::lock_guard<std::mutex> lock(mutex_);
        for (const auto& [label, status] : running_)
            if (status.vm_id == vm.id()) return status;
        VmStatus none;
        none.state = QVD_VM_STOPPED;
        none.vm_id = vm.id();
        none.uuid = vm.uuid();
        return none;
    }
    void remove_vm(const Vm&, Call&) override {}
    Usage usage(const Vm& vm, Call&) override {
        if (labels_of(vm.id()).empty()) throw Failure(QVD_NOT_FOUND, "it does not run");
        Usage usage;
        usage.memory_bytes = flaw_ == "light" ? 0 : 4096;
        return usage;
    }

private:
    std::set<std::string> labels_of(std::uint64_t vm_id) {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::set<std::string> labels;
        for (const auto& [label, status] : running_)
            if (status.vm_id == vm_id) labels.insert(label);
        return labels;
    }
    VmStatus recorded(const Process& process) const {
        VmStatus status;
        status.state = QVD_VM_RUNNING;
        status.pid = process.pid;
        std::ifstream(folder_ + process.label) >> status.uuid >> status.vm_id >> status.incarnation;
        return status;
    }
    void ended(const Process& process) {
        VmStatus status;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            status = running_[process.label];
            running_.erase(process.label);
        }
        const bool killed = process.state == QVD_PROCESS_KILLED && process.exit_code == SIGKILL;
        status.state = killed && flaw_ != "calm" ? QVD_VM_CRASHED : QVD_VM_STOPPED;
        if (killed) status.sentence = "its process was killed";
        if (flaw_ != "mute") events_.report(status);
    }

    std::string flaw_;
    std::string folder_;
    VmEvents events_;
    std::mutex mutex_;                         // guards running_
    std::map<std::string, VmStatus> running_;  // by label
    Processes processes_;                      // last: its threads use the others
};

constexpr qvd_config_key keys[] = {
    key("path.run", QVD_PATH, "/run/qvd", "sockets and state of what runs", nullptr,
        QVD_KEY_FILE_ONLY),
    key("sleeper.flaw", QVD_TEXT, "none", "the one thing to do wrong"),
};

}  // namespace

QVD_PLUGIN_WITH_KEYS("sleeper", "1.0.0", "VMs that are sleeping processes.", "Apache-2.0", keys,
                     qvd::sdk::provides<Sleeper>())
