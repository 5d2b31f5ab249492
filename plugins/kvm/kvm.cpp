#include "kvm.hpp"

#include "files.hpp"
#include "interrupted.hpp"
#include "preparation.hpp"
#include "processes.hpp"
#include "qcow2.hpp"

#include <set>

namespace qvd::kvm {

// Between two measurements of the node.
struct Kvm::Measured {
    std::mutex mutex;  // guards times
    Times times;
};

namespace {

std::string uuid_of(const sdk::Vm& vm) {
    return std::string(vm.uuid());
}

sdk::VmStatus nothing_of(const sdk::Vm& vm) {
    sdk::VmStatus status;
    status.state = QVD_VM_STOPPED;
    status.vm_id = vm.id();
    status.uuid = vm.uuid();
    status.incarnation = vm.incarnation();
    return status;
}

}  // namespace

Kvm::Kvm(const sdk::Core& core)
    : core_(core),
      settings_(core),
      guests_(core, settings_),
      measured_(std::make_shared<Measured>()),
      connection_(settings_.uri, guests_),
      accelerator_(core, settings_, connection_) {
}

std::uint64_t Kvm::capabilities() {
    return QVD_CAN_PAUSE | QVD_CAN_SAVE | QVD_CAN_CHECKPOINT | QVD_CAN_SNAPSHOT | QVD_CAN_CONSOLE |
           QVD_CAN_RESET;
}

std::optional<Guest> Kvm::find(const sdk::Vm& vm, sdk::Call& call) {
    return connection_.ask(call, uuid_of(vm), [uuid = uuid_of(vm)](const Order& order) {
        return orders::find(order, uuid);
    });
}

bool Kvm::has_memory(const sdk::Vm& vm, sdk::Call& call) {
    return connection_.ask(call, uuid_of(vm),
                           [settings = settings_, id = vm.id()](const Order& order) {
                               return take_interrupted(order, id, settings);
                           });
}

Owner Kvm::owner(sdk::Call& call) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (owner_) return *owner_;
    }
    const Owner found = connection_.ask(call, "", &orders::owner);
    const std::lock_guard<std::mutex> lock(mutex_);
    owner_ = found;
    return found;
}

// ---- the node -----------------------------------------------------------------------------------

void Kvm::collect(sdk::Texts /*keep*/, sdk::Call& call) {
    make_folders(settings_.run, 0700);
    const std::vector<Guest> guests =
        connection_.ask(call, "", [prefix = settings_.name_prefix](const Order& order) {
            return orders::list(order, prefix);
        });
    std::set<std::string> running;
    for (const Guest& guest : guests) running.insert(std::to_string(guest.identity.vm_id));
    for (const std::string& name : names_in(settings_.run)) {
        if (running.find(name) != running.end()) continue;
        const std::string folder = settings_.run + "/" + name;
        for (const char* file :
             {"/agent.token", "/network", "/hostname", "/console.sock", "/qemu/vnc.sock"})
            remove_file(folder + file);
    }
}

std::vector<sdk::VmStatus> Kvm::survey(sdk::Call& call) {
    const std::vector<Guest> guests =
        connection_.ask(call, "", [prefix = settings_.name_prefix](const Order& order) {
            return orders::list(order, prefix);
        });
    std::vector<sdk::VmStatus> found;
    for (const Guest& guest : guests) {
        guests_.adopt(guest.uuid, guest.identity);
        found.push_back(guest.status());
    }
    return found;
}

sdk::PreparedImage Kvm::prepare_image(const sdk::Image& image, sdk::Call& /*call*/) {
    std::string path(image.path());
    check_image(path, format_name(image.format(), path));
    const std::uint64_t bytes = disk_bytes(path);
    return {std::move(path), bytes};
}

sdk::Capacity Kvm::capacity(sdk::Call& call) {
    return connection_.ask(call, "", [measured = measured_](const Order& order) {
        const std::lock_guard<std::mutex> lock(measured->mutex);
        return orders::capacity(order, measured->times);
    });
}

// ---- start, stop, end ---------------------------------------------------------------------------

sdk::VmStatus Kvm::start(const sdk::Vm& vm, sdk::Call& call) {
    const VmSettings own(settings_, vm);
    const auto running = find(vm, call);
    if (!running && has_memory(vm, call))
        throw sdk::Failure(QVD_CONFLICT, "the VM is suspended in " + settings_.memory_of(vm.id()) +
                                             ": it can be restored, or destroyed first");
    if (running) {
        if (running->identity.incarnation != vm.incarnation())
            throw sdk::Failure(QVD_CONFLICT, "incarnation " +
                                                 std::to_string(running->identity.incarnation) +
                                                 " of this VM still runs");
        guests_.adopt(running->uuid, running->identity);
        return running->status();
    }
    check_vm(vm, own);
    Machine machine = plan_machine(vm, settings_, own);
    machine.accelerated = accelerator_.accelerates(own.accelerator, call);
    try {
        make_disks(vm, settings_);
        write_files(vm, settings_, owner(call));
        remove_file(settings_.folder_of(vm) + "/console.log");
        return begin(vm, machine, call);
    } catch (...) {
        guests_.forget(uuid_of(vm));
        remove_overlay(vm);
        remove_files(vm, settings_);
        throw;
    }
}

sdk::VmStatus Kvm::begin(const sdk::Vm& vm, const Machine& machine, sdk::Call& call) {
    const std::string uuid = uuid_of(vm);
    guests_.expect(uuid, machine.identity);
    connection_.ask(call, uuid, [xml = domain_xml(machine)](const Order& order) {
        orders::create(order, xml);
    });
    if (const auto end = guests_.settle(uuid))
        throw sdk::Failure(QVD_UNAVAILABLE, "the virtual machine ended at once: " + end->sentence);
    return Guest{uuid, machine.identity, QVD_VM_RUNNING, {}, QemuProcesses().of(uuid), 0}.status();
}

void Kvm::stop(const sdk::Vm& vm, sdk::Call& call) {
    connection_.ask(call, uuid_of(vm), [uuid = uuid_of(vm)](const Order& order) {
        return orders::shut_down(order, uuid);
    });
}

void Kvm::end(const sdk::Vm& vm, sdk::Call& call) {
    const std::string uuid = uuid_of(vm);
    guests_.dismiss(uuid);
    try {
        connection_.ask(call, uuid,
                        [uuid](const Order& order) { return orders::destroy(order, uuid); });
        guests_.wait_for_word(uuid);
    } catch (...) {
        // Perhaps it runs on: then its end is worth a word.
        guests_.adopt(uuid, Identity{vm.id(), vm.incarnation(), 0});
        throw;
    }
}

void Kvm::destroy_vm(const sdk::Vm& vm, sdk::Call& call) {
    end(vm, call);
    remove_file(settings_.memory_of(vm.id()));
    forget_interrupted(vm.id(), settings_);
    remove_overlay(vm);
    remove_files(vm, settings_);
}

// Of a VM that is long deleted the core knows the number only.
void Kvm::remove_vm(const sdk::Vm& vm, sdk::Call& call) {
    if (!vm.uuid().empty()) {
        destroy_vm(vm, call);
    } else {
        const std::vector<Guest> guests =
            connection_.ask(call, "", [prefix = settings_.name_prefix](const Order& order) {
                return orders::list(order, prefix);
            });
        for (const Guest& guest : guests)
            if (guest.identity.vm_id == vm.id())
                throw sdk::Failure(QVD_CONFLICT, "VM " + std::to_string(vm.id()) + " still runs");
        remove_files(vm, settings_);
    }
    for (const sdk::Disk disk : vm.disks())
        remove_file(std::string(disk.role() == QVD_DISK_OS ? disk.overlay_path() : disk.path()));
    remove_saved(vm.id(), settings_);
    remove_file(settings_.folder_of(vm) + "/console.log");
}

// ---- questions ----------------------------------------------------------------------------------

sdk::VmStatus Kvm::state(const sdk::Vm& vm, sdk::Call& call) {
    if (const auto running = find(vm, call)) return running->status();
    sdk::VmStatus status = nothing_of(vm);
    status.state = has_memory(vm, call) ? QVD_VM_SUSPENDED : QVD_VM_STOPPED;
    if (status.state == QVD_VM_SUSPENDED) return status;
    return guests_.end_of(uuid_of(vm)).value_or(status);
}

std::vector<sdk::Endpoint> Kvm::console(const sdk::Vm& vm, sdk::Call& call) {
    std::vector<sdk::Endpoint> found;
    if (!find(vm, call)) return found;
    for (const auto& [kind, path] : {std::pair{QVD_ENDPOINT_CONSOLE, console_socket(vm, settings_)},
                                     std::pair{QVD_ENDPOINT_VNC, vnc_socket(vm, settings_)}}) {
        if (!exists(path)) continue;
        sdk::Endpoint endpoint;
        endpoint.kind = static_cast<qvd_endpoint_kind>(kind);
        endpoint.address = path;
        found.push_back(endpoint);
    }
    return found;
}

sdk::Usage Kvm::usage(const sdk::Vm& vm, sdk::Call& call) {
    // Without its turn: measuring must not wait behind a long order for the same VM.
    sdk::Usage used = connection_.ask(
        call, "", [uuid = uuid_of(vm)](const Order& order) { return orders::usage(order, uuid); });
    for (const sdk::Disk disk : vm.disks()) {
        const bool shared = disk.role() == QVD_DISK_OS;
        used.disk_bytes += disk_bytes(std::string(shared ? disk.overlay_path() : disk.path()));
    }
    return used;
}

// ---- pause, save, reset -------------------------------------------------------------------------

void Kvm::pause(const sdk::Vm& vm, sdk::Call& call) {
    connection_.ask(call, uuid_of(vm),
                    [uuid = uuid_of(vm)](const Order& order) { orders::pause(order, uuid); });
}

void Kvm::unpause(const sdk::Vm& vm, sdk::Call& call) {
    connection_.ask(call, uuid_of(vm),
                    [uuid = uuid_of(vm)](const Order& order) { orders::unpause(order, uuid); });
}

void Kvm::reset(const sdk::Vm& vm, sdk::Call& call) {
    connection_.ask(call, uuid_of(vm),
                    [uuid = uuid_of(vm)](const Order& order) { orders::reset(order, uuid); });
}

}  // namespace qvd::kvm
