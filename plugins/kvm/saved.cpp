// Suspending to disk and back, and copies.
#include "files.hpp"
#include "interrupted.hpp"
#include "kvm.hpp"
#include "preparation.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace qvd::kvm {

namespace {

// What a VM wrote to, each under the name that its copy has.
struct Written {
    std::string name;  // "os", "home", "data-2"
    std::string path;
    unsigned index = 0;  // of its drive
};

std::vector<Written> written(const Machine& machine) {
    std::vector<Written> all;
    for (const Drive& drive : machine.drives) {
        if (drive.read_only) continue;
        const std::string number = drive.serial == "data" ? "-" + std::to_string(drive.index) : "";
        all.push_back({drive.serial + number + ".qcow2", drive.path, drive.index});
    }
    return all;
}

std::uint64_t bytes_in(const std::string& folder) {
    std::uint64_t bytes = 0;
    for (const std::string& name : names_in(folder)) bytes += disk_bytes(folder + "/" + name);
    return bytes;
}

// It becomes a folder's name.
void check_name(std::string_view name) {
    constexpr std::size_t longest = 100;
    const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.' || c == ':';
    });
    if (name.empty() || name.front() == '.' || name.size() > longest || !plain)
        throw sdk::Failure(QVD_INVALID,
                           R"(a snapshot is named by letters, digits, "-", "_", "." and ":")");
}

constexpr const char* memory_name = "/memory";

// Memory and disks of one moment into a folder; the guest stands still meanwhile. Whatever goes
// wrong, it runs on, or its memory is in `parked`.
struct Checkpoint {
    std::string uuid;
    Identity identity;
    std::string folder;
    std::string parked;
    std::vector<Written> disks;

    void take(const Order& order) const {
        const std::string memory = folder + memory_name;
        mark_checkpoint(folder, paths());
        try {
            orders::save(order, uuid, memory);
        } catch (...) {
            if (is_unharmed(order)) remove_folder(folder);
            throw;
        }
        try {
            for (const Written& disk : disks) copy_file(disk.path, folder + "/" + disk.name);
        } catch (...) {
            go_on(order, memory);
            remove_folder(folder);
            throw;
        }
        go_on(order, memory);
        unmark_checkpoint(folder);
    }
    [[nodiscard]] std::vector<std::string> paths() const {
        std::vector<std::string> all;
        all.reserve(disks.size());
        for (const Written& disk : disks) all.push_back(disk.path);
        return all;
    }
    // Otherwise libvirt perhaps goes on saving it, although it does not answer.
    [[nodiscard]] bool is_unharmed(const Order& order) const {
        try {
            const auto guest = orders::find(order, uuid);
            return guest && guest->state == QVD_VM_RUNNING;
        } catch (const sdk::Failure&) {
            return false;
        }
    }
    void go_on(const Order& order, const std::string& memory) const {
        try {
            const std::atomic<bool> go{false};
            orders::restore({order.connection, &go}, uuid, memory, identity);
        } catch (...) {
            rename_file(memory, parked);
            unmark_checkpoint(folder);
            throw;
        }
    }
};

}  // namespace

sdk::Saved Kvm::save(const sdk::Vm& vm, sdk::Call& call) {
    const std::string uuid(vm.uuid());
    const std::string path = settings_.memory_of(vm.id());
    const auto running = find(vm, call);
    if (!running && has_memory(vm, call)) return {path, disk_bytes(path)};
    if (!running) throw sdk::Failure(QVD_NOT_FOUND, "the VM does not run here");
    make_folders(settings_.suspended, 0700);
    guests_.dismiss(uuid);
    try {
        connection_.ask(call, uuid,
                        [settings = settings_, uuid, path, id = vm.id()](const Order& order) {
                            // Ordered by a core before this one, it may be under way.
                            orders::wait_for_job(order, uuid);
                            if (!orders::find(order, uuid) && take_interrupted(order, id, settings))
                                return;
                            const std::string fresh = fresh_memory_of(id, settings);
                            remove_file(fresh);
                            orders::save(order, uuid, fresh);
                            rename_file(fresh, path);
                        });
        guests_.wait_for_word(uuid);
    } catch (...) {
        guests_.adopt(uuid, running->identity);
        throw;
    }
    remove_files(vm, settings_);
    return {path, disk_bytes(path)};
}

void Kvm::restore(const sdk::Vm& vm, std::string_view path, sdk::Call& call) {
    const std::string uuid(vm.uuid());
    if (const auto running = find(vm, call)) {
        if (running->identity.incarnation == vm.incarnation()) return;
        throw sdk::Failure(QVD_CONFLICT, "the VM runs: there is nothing to restore");
    }
    const std::string folder(path);
    const bool is_checkpoint = exists(folder + memory_name);
    const std::string memory = is_checkpoint ? folder + memory_name : folder;
    if (!exists(memory)) throw sdk::Failure(QVD_NOT_FOUND, "there is no saved memory in " + memory);
    const Identity identity{vm.id(), vm.incarnation(), now_ms()};
    const Machine machine = plan_machine(vm, settings_, VmSettings(settings_, vm));
    write_files(vm, settings_, owner(call));
    guests_.expect(uuid, identity);
    try {
        connection_.ask(call, uuid, [=, disks = written(machine)](const Order& order) {
            // A checkpoint stays, for the next time.
            for (const Written& disk : disks)
                if (is_checkpoint) copy_file(folder + "/" + disk.name, disk.path);
            if (orders::restore(order, uuid, memory, identity) && !is_checkpoint)
                remove_file(memory);
        });
    } catch (...) {
        guests_.forget(uuid);
        remove_files(vm, settings_);
        throw;
    }
    remove_file(settings_.memory_of(vm.id()));
    forget_interrupted(vm.id(), settings_);
    guests_.settle(uuid);
}

sdk::Saved Kvm::checkpoint(const sdk::Vm& vm, sdk::Call& call) {
    const auto running = find(vm, call);
    if (!running) throw sdk::Failure(QVD_NOT_FOUND, "the VM does not run here");
    const Machine machine = plan_machine(vm, settings_, VmSettings(settings_, vm));
    const Checkpoint one{running->uuid, running->identity,
                         settings_.suspended + "/" + std::to_string(vm.id()) + "-checkpoint-" +
                             std::to_string(now_ms()),
                         settings_.memory_of(vm.id()), written(machine)};
    make_folders(one.folder, 0700);
    guests_.dismiss(one.uuid);
    try {
        connection_.ask(call, one.uuid, [one](const Order& order) { one.take(order); });
        guests_.wait_for_word(one.uuid);
    } catch (...) {
        if (!exists(one.parked)) guests_.adopt(one.uuid, one.identity);
        throw;
    }
    guests_.adopt(one.uuid, one.identity);
    return {one.folder, bytes_in(one.folder)};
}

sdk::Saved Kvm::snapshot(const sdk::Vm& vm, std::string_view name, sdk::Call& call) {
    check_name(name);
    const Machine machine = plan_machine(vm, settings_, VmSettings(settings_, vm));
    const std::string folder =
        settings_.snapshots + "/" + std::to_string(vm.id()) + "/" + std::string(name);
    if (exists(folder))
        throw sdk::Failure(QVD_CONFLICT, "there is a snapshot " + std::string(name) + " already");
    const bool runs = find(vm, call).has_value();
    const std::string fresh = folder + ".new";
    const std::string uuid(vm.uuid());
    remove_folder(fresh);
    make_folders(fresh, 0700);
    connection_.ask(call, uuid, [=, disks = written(machine)](const Order& order) {
        bool done = true;
        if (runs) {
            std::vector<orders::DiskCopy> copies;
            copies.reserve(disks.size());
            for (const Written& disk : disks)
                copies.push_back({drive_name(machine, disk.index), fresh + "/" + disk.name});
            done = orders::copy_disks(order, uuid, copies);
        } else {
            for (const Written& disk : disks) copy_file(disk.path, fresh + "/" + disk.name);
        }
        if (done)
            rename_file(fresh, folder);
        else
            remove_folder(fresh);
    });
    return {folder, bytes_in(folder)};
}

}  // namespace qvd::kvm
