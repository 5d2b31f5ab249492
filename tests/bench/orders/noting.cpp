// A hypervisor that only notes when it is asked to start a VM, and then refuses: what lies between
// an order and that moment is the core's.
#include <qvd/hypervisor_backend.hpp>

#include <ctime>
#include <fstream>
#include <string>

namespace {

using namespace qvd::sdk;

class Noting : public qvd::HypervisorBackend {
public:
    static constexpr qvd_threading threading = QVD_CONCURRENT;

    explicit Noting(const Core& core) : notes_(std::string(core.config("path.run")) + "/noted") {}

    VmStatus start(const Vm& vm, Call&) override {
        timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        // One line at one stroke: the reader waits for its end.
        std::ofstream(notes_, std::ios::app)
            << std::to_string(vm.incarnation()) + " " +
                   std::to_string(now.tv_sec * 1'000'000'000LL + now.tv_nsec) + "\n";
        throw Failure(QVD_UNAVAILABLE, "it was only noted");
    }
    std::vector<VmStatus> survey(Call&) override { return {}; }
    void stop(const Vm&, Call&) override {}
    void destroy_vm(const Vm&, Call&) override {}
    VmStatus state(const Vm& vm, Call&) override {
        VmStatus none;
        none.state = QVD_VM_STOPPED;
        none.vm_id = vm.id();
        none.uuid = vm.uuid();
        return none;
    }
    void remove_vm(const Vm&, Call&) override {}

private:
    std::string notes_;
};

constexpr qvd_config_key keys[] = {
    key("path.run", QVD_PATH, "/run/qvd", "sockets and state of what runs", nullptr,
        QVD_KEY_FILE_ONLY),
};

}  // namespace

QVD_PLUGIN_WITH_KEYS("noting", "1.0.0", "Notes when it is asked to start a VM.", "Apache-2.0", keys,
                     qvd::sdk::provides<Noting>())
