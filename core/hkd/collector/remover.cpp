#include "hkd/collector/remover.hpp"

#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <system_error>

namespace qvd::hkd {

namespace {

// Of a hypervisor's call: it puts trees out of the way and removes them behind the call's back.
constexpr Milliseconds call_limit{60'000};

using Lock = std::shared_ptr<const UniqueFd>;

// Empty where nobody locks such things, or the lock is gone.
Result<Lock> lock_of(const Item& item) {
    Lock none = std::make_shared<const UniqueFd>();
    if (item.lock.empty()) return none;
    // NOLINTNEXTLINE(*-vararg): open is
    UniqueFd lock{::open(item.lock.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (!lock) return none;
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return Error{ErrorKind::conflict, "storage.in_use",
                     "somebody works at " + item.path + " just now"};
    return std::make_shared<const UniqueFd>(std::move(lock));
}

bool is_there(const std::string& path) {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0;
}

Result<void> remove_files(const Item& item) {
    QVD_TRY(const Lock lock, lock_of(item));
    std::error_code failed;
    std::filesystem::remove_all(item.path, failed);
    if (failed)
        return Error{ErrorKind::unavailable, "storage.not_removed",
                     "cannot remove " + item.path + ": " + failed.message()};
    // Of the last snapshot of a VM.
    if (item.kind == ItemKind::snapshot)
        (void)::rmdir(item.path.substr(0, item.path.rfind('/')).c_str());
    return {};
}

plugin::DiskSpec disk_of(const Item& item) {
    plugin::DiskSpec disk;
    disk.di = item.di;
    disk.format =
        item.hypervisor == "kvm" ? plugin::ImageFormat::qcow2 : plugin::ImageFormat::directory;
    if (item.kind == ItemKind::home) {
        disk.role = plugin::DiskRole::home;
        disk.path = item.path;
    } else {
        disk.overlay_path = item.path;
    }
    disk.persistent = true;
    return disk;
}

}  // namespace

Async<void> Remover::remove(Item item, bool vm_is_deleted) {
    // From here to the call nothing else runs: whose start comes later waits for it (Images).
    if (is_used_here_(item))
        co_return Error{ErrorKind::conflict, "storage.in_use",
                        "a VM of this node has begun to use " + item.path};
    const bool plugins = !item.hypervisor.empty();
    if (plugins && item.kind == ItemKind::unpacked) {
        ImagePlan image;
        image.hypervisor = item.hypervisor;
        image.di = item.di;
        image.unpacked_path = item.path;
        QVD_CO_CHECK(co_await images_.remove(std::move(image), call_limit));
    } else if (plugins && vm_is_deleted && item.vm.value() > 0) {
        Item copy = item;
        QVD_CO_CHECK(co_await remove_of_vm(std::move(copy)));
    } else if (plugins && item.hypervisor != "kvm") {
        Item copy = item;
        QVD_CO_CHECK(co_await remove_tree(std::move(copy)));
    }
    // The hypervisor is at it; a large one takes its time.
    if (plugins && item.kind == ItemKind::discarded) co_return Result<void>{};
    // Whatever is no tree needs nobody's knowledge, and nor does what a plugin does not know of.
    const std::string path = item.path;
    std::function<bool()> look = [path] { return is_there(path); };
    if (!co_await aside_.run(std::move(look))) co_return Result<void>{};
    if (plugins && item.hypervisor != "kvm")
        co_return Error{ErrorKind::unavailable, "storage.not_removed",
                        "the hypervisor " + item.hypervisor + " has left " + item.path};
    co_return co_await remove_plain(std::move(item));
}

Async<void> Remover::remove_of_vm(Item item) {
    VmPlan vm;
    vm.vm = item.vm;
    vm.name = "vm-" + item.vm.text();
    vm.hypervisor = item.hypervisor;
    vm.di = item.di;
    vm.disks.push_back(disk_of(item));
    co_return co_await backend_.remove_vm(std::move(vm), Deadline::in(clock_, call_limit));
}

// A tree that is no image any more, or not yet: the hypervisor knows how its like are removed.
Async<void> Remover::remove_tree(Item item) {
    std::function<Result<Lock>()> take = [item] { return lock_of(item); };
    QVD_CO_TRY(const Lock lock, co_await aside_.run(std::move(take)));
    ImagePlan tree;
    tree.hypervisor = item.hypervisor;
    tree.di = item.di;
    tree.unpacked_path = item.path;
    co_return co_await backend_.remove_image(std::move(tree), Deadline::in(clock_, call_limit));
}

Async<void> Remover::remove_plain(Item item) {
    std::function<Result<void>()> work = [item = std::move(item)] { return remove_files(item); };
    co_return co_await aside_.run(std::move(work));
}

}  // namespace qvd::hkd
