// Suspending to disk and back, and copies.
#include "files.hpp"
#include "kvm.hpp"
#include "preparation.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace qvd::kvm {

namespace {

void rename(const std::string& from, const std::string& to) {
    if (std::rename(from.c_str(), to.c_str()) != 0)
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot rename " + from + ": " + std::strerror(errno));
}

}  // namespace

sdk::Saved Kvm::save(const sdk::Vm& vm, sdk::Call& call) {
    const std::string uuid(vm.uuid());
    const std::string path = settings_.memory_of(vm.id());
    const auto running = find(vm, call);
    if (!running && exists(path)) return {path, disk_bytes(path)};
    if (!running) throw sdk::Failure(QVD_NOT_FOUND, "the VM does not run here");
    make_folders(settings_.suspended, 0700);
    guests_.forget(uuid);
    try {
        connection_.ask(call, uuid, [uuid, path](const Order& order) {
            const std::string fresh = path + ".new";
            remove_file(fresh);
            orders::save(order, uuid, fresh);
            rename(fresh, path);
        });
    } catch (...) {
        guests_.adopt(uuid, running->identity);
        throw;
    }
    remove_files(vm, settings_);
    return {path, disk_bytes(path)};
}

void Kvm::restore(const sdk::Vm& vm, std::string_view path, sdk::Call& call) {
    const std::string uuid(vm.uuid());
    const std::string memory(path);
    if (const auto running = find(vm, call)) {
        if (running->identity.incarnation == vm.incarnation()) return;
        throw sdk::Failure(QVD_CONFLICT, "the VM runs: there is nothing to restore");
    }
    if (!exists(memory)) throw sdk::Failure(QVD_NOT_FOUND, "there is no saved memory in " + memory);
    const Identity identity{vm.id(), vm.incarnation(), now_ms()};
    write_files(vm, settings_, owner(call));
    guests_.expect(uuid, identity);
    try {
        connection_.ask(call, uuid, [uuid, memory, identity](const Order& order) {
            if (orders::restore(order, uuid, memory, identity)) remove_file(memory);
        });
    } catch (...) {
        guests_.forget(uuid);
        throw;
    }
    guests_.settle(uuid);
}

}  // namespace qvd::kvm
