#include "hkd/collector/stock.hpp"

#include "base/file.hpp"
#include "base/text.hpp"
#include "config/keys.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <system_error>

namespace qvd::hkd {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view containers = "lxc-unionfs";
constexpr std::string_view containers_on_btrfs = "lxc-btrfs";
constexpr std::string_view guests = "kvm";

struct Entry {
    std::string folder;
    std::string name;
    struct stat status {};

    [[nodiscard]] bool is_folder() const { return S_ISDIR(status.st_mode); }
    [[nodiscard]] bool is_file() const { return S_ISREG(status.st_mode); }
    [[nodiscard]] std::string path() const { return folder + "/" + name; }
};

struct CloseFolder {
    void operator()(DIR* folder) const { ::closedir(folder); }
};

std::vector<Entry> entries_of(const std::string& path) {
    std::vector<Entry> all;
    const std::unique_ptr<DIR, CloseFolder> folder(::opendir(path.c_str()));
    if (!folder) return all;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): its own stream
    while (const dirent* const found = ::readdir(folder.get())) {
        Entry entry{path, static_cast<const char*>(found->d_name)};
        if (entry.name == "." || entry.name == "..") continue;
        if (::lstat(entry.path().c_str(), &entry.status) == 0) all.push_back(std::move(entry));
    }
    std::ranges::sort(all, {}, &Entry::name);
    return all;
}

// A rename, which is how things are put in place and out of the way, changes only the inode.
Timestamp changed_at(const struct stat& status) {
    return std::chrono::system_clock::from_time_t(
        std::max(status.st_mtim.tv_sec, status.st_ctim.tv_sec));
}

Item item_of(ItemKind kind, const Entry& entry, std::string_view hypervisor = {}) {
    Item item;
    item.kind = kind;
    item.path = entry.path();
    item.hypervisor = hypervisor;
    item.changed = changed_at(entry.status);
    return item;
}

// "7" of "7-desktop": the number before the dash, and what is behind it.
struct Numbered {
    std::int64_t number = 0;
    std::string_view rest;
};
std::optional<Numbered> numbered(std::string_view text) {
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::nullopt;
    const auto number = text::to_integer(text.substr(0, dash));
    if (!number || *number <= 0) return std::nullopt;
    return Numbered{*number, text.substr(dash + 1)};
}

bool drop_ending(std::string_view& text, std::string_view ending) {
    if (!text.ends_with(ending)) return false;
    text.remove_suffix(ending.size());
    return true;
}

class Stock {
public:
    void images(const std::string& folder);
    void unpacked(const std::string& folder, std::string_view hypervisor);
    void overlay_trees(const std::string& folder, std::string_view hypervisor);
    void overlay_files(const std::string& folder);
    void home_folders(const std::string& folder);
    void home_disks(const std::string& folder);
    void suspended(const std::string& folder);
    void add_memory(const Entry& entry);
    void add_checkpoint(const Entry& entry, VmId vm);
    void snapshots(const std::string& folder);
    [[nodiscard]] std::vector<Item> take() { return std::move(items_); }

private:
    Item& add(ItemKind kind, const Entry& entry, std::string_view hypervisor = {}) {
        return items_.emplace_back(item_of(kind, entry, hypervisor));
    }
    bool add_discarded(const Entry& entry, std::string_view hypervisor) {
        if (!entry.name.starts_with("deleteme-")) return false;
        add(ItemKind::discarded, entry, hypervisor);
        return true;
    }
    void add_copy(const Entry& entry, std::int64_t di, std::string_view hypervisor);
    void add_part(const Entry& entry, std::string_view hypervisor);

    std::vector<Item> items_;
};

void Stock::images(const std::string& folder) {
    for (const Entry& entry : entries_of(folder)) {
        if (!entry.is_file()) continue;
        if (entry.name.starts_with(".incoming-")) {
            Item& item = add(ItemKind::incoming, entry);
            item.lock = item.path;
            item.changed = std::chrono::system_clock::from_time_t(entry.status.st_mtim.tv_sec);
        } else if (const auto name = numbered(entry.name)) {
            add(ItemKind::image, entry).di = DiId{name->number};
        }
    }
}

// The mark beside a copy is touched at each use, and knows how large the copy is.
void Stock::add_copy(const Entry& entry, std::int64_t di, std::string_view hypervisor) {
    Item& item = add(ItemKind::unpacked, entry, hypervisor);
    item.di = DiId{di};
    const std::string mark = entry.folder + "/." + entry.name + ".complete";
    struct stat status {};
    if (::lstat(mark.c_str(), &status) == 0)
        item.changed = std::chrono::system_clock::from_time_t(status.st_mtim.tv_sec);
    const auto facts = file::read(mark, 65536);
    if (!facts.ok()) return;
    for (const std::string& line : text::split(*facts, '\n'))
        if (line.starts_with("bytes="))
            item.bytes = static_cast<std::uint64_t>(text::to_integer(line.substr(6)).value_or(0));
}

// untar-NAME-PID-TIME; whoever unpacks NAME holds its lock.
void Stock::add_part(const Entry& entry, std::string_view hypervisor) {
    std::string_view name = entry.name;
    name.remove_prefix(std::string_view("untar-").size());
    const std::size_t time = name.rfind('-');
    const std::size_t process = time == 0 ? time : name.rfind('-', time - 1);
    if (time == std::string_view::npos || process == std::string_view::npos) return;
    add(ItemKind::part, entry, hypervisor).lock =
        entry.folder + "/lock." + std::string(name.substr(0, process));
}

void Stock::unpacked(const std::string& folder, std::string_view hypervisor) {
    for (const Entry& entry : entries_of(folder)) {
        if (!entry.is_folder() || add_discarded(entry, hypervisor)) continue;
        if (entry.name.starts_with("untar-")) {
            add_part(entry, hypervisor);
        } else if (const auto name = numbered(entry.name)) {
            add_copy(entry, name->number, hypervisor);
        }
    }
}

// DI-VM-KIND, and VM-overlayfs-work.
void Stock::overlay_trees(const std::string& folder, std::string_view hypervisor) {
    for (const Entry& entry : entries_of(folder)) {
        if (!entry.is_folder() || add_discarded(entry, hypervisor)) continue;
        const auto first = numbered(entry.name);
        if (!first) continue;
        if (first->rest == "overlayfs-work") {
            add(ItemKind::overlay, entry, hypervisor).vm = VmId{first->number};
        } else if (const auto second = numbered(first->rest)) {
            Item& item = add(ItemKind::overlay, entry, hypervisor);
            item.di = DiId{first->number};
            item.vm = VmId{second->number};
        }
    }
}

// DI-VM-overlay.qcow2; with ".new" behind it while it is written.
void Stock::overlay_files(const std::string& folder) {
    for (const Entry& entry : entries_of(folder)) {
        std::string_view name = entry.name;
        const bool half = drop_ending(name, ".new");
        const auto first = numbered(name);
        const auto second = first ? numbered(first->rest) : std::nullopt;
        if (!entry.is_file() || !second || second->rest != "overlay.qcow2") continue;
        Item& item = add(half ? ItemKind::part : ItemKind::overlay, entry, half ? "" : guests);
        item.di = DiId{first->number};
        item.vm = VmId{second->number};
    }
}

void Stock::home_folders(const std::string& folder) {
    for (const Entry& entry : entries_of(folder)) {
        if (!entry.is_folder() || add_discarded(entry, containers)) continue;
        if (entry.name == "lost+found" || entry.name.starts_with(".")) continue;
        Item& item = add(ItemKind::home, entry, containers);
        const auto name = numbered(entry.name);
        if (name && name->rest == "fs")
            item.vm = VmId{name->number};
        else
            item.login = entry.name;
    }
}

void Stock::home_disks(const std::string& folder) {
    for (const Entry& entry : entries_of(folder)) {
        const auto name = numbered(entry.name);
        if (entry.is_file() && name && name->rest == "data.qcow2")
            add(ItemKind::home, entry, guests).vm = VmId{name->number};
    }
}

// VM.memory, VM.memory.new while it is written, VM-checkpoint-TIME.
void Stock::suspended(const std::string& folder) {
    for (const Entry& entry : entries_of(folder)) {
        if (entry.is_file()) add_memory(entry);
        const auto vm = numbered(entry.name);
        if (entry.is_folder() && vm && vm->rest.starts_with("checkpoint-"))
            add_checkpoint(entry, VmId{vm->number});
    }
}

// Made in its place: what is written there now makes it young.
void Stock::add_checkpoint(const Entry& entry, VmId vm) {
    Item& item = add(ItemKind::checkpoint, entry, guests);
    item.vm = vm;
    auto last = entry.status.st_mtim.tv_sec;
    for (const Entry& file : entries_of(entry.path()))
        last = std::max(last, file.status.st_mtim.tv_sec);
    item.changed = std::chrono::system_clock::from_time_t(last);
}

void Stock::add_memory(const Entry& entry) {
    std::string_view name = entry.name;
    const bool half = drop_ending(name, ".new");
    if (!drop_ending(name, ".memory")) return;
    const auto vm = text::to_integer(name);
    if (!vm || *vm <= 0) return;
    add(half ? ItemKind::part : ItemKind::memory, entry, half ? "" : guests).vm = VmId{*vm};
}

// VM/NAME
void Stock::snapshots(const std::string& folder) {
    for (const Entry& of_vm : entries_of(folder)) {
        const auto vm = text::to_integer(of_vm.name);
        if (!of_vm.is_folder() || !vm || *vm <= 0) continue;
        for (const Entry& entry : entries_of(of_vm.path())) {
            const bool half = entry.name.ends_with(".new");
            if (!entry.is_folder()) continue;
            add(half ? ItemKind::part : ItemKind::snapshot, entry, half ? "" : guests).vm =
                VmId{*vm};
        }
    }
}

}  // namespace

std::string_view to_string(ItemKind kind) {
    switch (kind) {
        case ItemKind::image:
            return "image";
        case ItemKind::unpacked:
            return "unpacked image";
        case ItemKind::overlay:
            return "overlay";
        case ItemKind::home:
            return "home";
        case ItemKind::memory:
            return "suspended VM";
        case ItemKind::checkpoint:
            return "checkpoint";
        case ItemKind::snapshot:
            return "snapshot";
        case ItemKind::discarded:
            return "discarded";
        case ItemKind::part:
            return "half made";
        case ItemKind::incoming:
            break;
    }
    return "incoming image";
}

StoragePlaces storage_places(const config::View& view) {
    const std::string btrfs = view.get(config::path_storage_btrfs_root) + "/btrfs";
    StoragePlaces places;
    places.images = view.get(config::path_storage_images);
    places.overlays = view.get(config::path_storage_overlays);
    places.homes = view.get(config::path_storage_homes);
    places.suspended = view.get(config::path_storage_suspended);
    places.snapshots = view.get(config::path_storage_snapshots);
    places.basefs = view.get(config::path_storage_basefs);
    places.overlayfs = view.get(config::path_storage_overlayfs);
    places.homefs = view.get(config::path_storage_homefs);
    places.btrfs_images = btrfs + "/images";
    places.btrfs_vms = btrfs + "/vms";
    return places;
}

std::vector<Item> take_stock(const StoragePlaces& places) {
    Stock stock;
    stock.images(places.images);
    stock.unpacked(places.basefs, containers);
    stock.unpacked(places.btrfs_images, containers_on_btrfs);
    stock.overlay_trees(places.overlayfs, containers);
    stock.overlay_trees(places.btrfs_vms, containers_on_btrfs);
    stock.overlay_files(places.overlays);
    stock.suspended(places.suspended);
    stock.snapshots(places.snapshots);
    stock.home_disks(places.homes);
    stock.home_folders(places.homefs);
    return stock.take();
}

std::optional<std::uint64_t> measure(const std::string& path, std::chrono::milliseconds limit) {
    constexpr std::uint64_t block = 512;
    const auto end = std::chrono::steady_clock::now() + limit;
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return 0;
    auto blocks = static_cast<std::uint64_t>(status.st_blocks);
    if (!S_ISDIR(status.st_mode)) return blocks * block;
    std::error_code failed;
    fs::recursive_directory_iterator all(path, fs::directory_options::skip_permission_denied,
                                         failed);
    for (; !failed && all != fs::recursive_directory_iterator(); all.increment(failed)) {
        if (std::chrono::steady_clock::now() > end) return std::nullopt;
        // What is mounted in it, such as a union, is not its own.
        const dev_t own = status.st_dev;
        struct stat below {};
        if (::lstat(all->path().c_str(), &below) != 0) continue;
        if (below.st_dev != own) {
            all.disable_recursion_pending();
            continue;
        }
        const auto links = std::max<std::uint64_t>(S_ISDIR(below.st_mode) ? 1 : below.st_nlink, 1);
        blocks += static_cast<std::uint64_t>(below.st_blocks) / links;
    }
    return blocks * block;
}

std::optional<std::int64_t> room_at(const std::string& path) {
    struct statvfs space {};
    if (::statvfs(path.c_str(), &space) != 0) return std::nullopt;
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(space.f_bavail) * space.f_frsize >>
                                     20U);
}

}  // namespace qvd::hkd
