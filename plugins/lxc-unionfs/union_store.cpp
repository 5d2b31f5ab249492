#include "union_store.hpp"

#include "backend/mounts.hpp"
#include "backend/order.hpp"
#include "common/cgroups.hpp"
#include "common/files.hpp"
#include "fuse_union.hpp"
#include "kernel_unions.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <string_view>

namespace qvd::lxc {

namespace {

constexpr const char* type_key = "vm.lxc.unionfs.type";
constexpr const char* read_only_key = "vm.lxc.unionfs.bind.ro";

// Neither mount options nor a daemon's arguments have a way to say these.
void check_name(const std::string& path) {
    if (path.find_first_of(",:=\\") != std::string::npos)
        throw sdk::Failure(QVD_INVALID, path +
                                            ": a folder that is mounted must not have \",\", "
                                            "\":\", \"=\" or \"\\\" in its name");
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), text) != words.end();
}

// The core has looked at what the node's file says; whoever sets a property may write anything.
bool binds_read_only(const sdk::Vm& vm, const sdk::Core& core) {
    const std::string_view own = vm.properties().get(read_only_key, core.config(read_only_key));
    if (is_one_of(own, {"1", "yes", "true", "on"})) return true;
    if (is_one_of(own, {"0", "no", "false", "off"})) return false;
    throw sdk::Failure(QVD_INVALID, std::string(read_only_key) +
                                        " of this VM or its OSF is 1 or 0, not \"" +
                                        std::string(own) + "\"");
}

bool is_below(const std::string& path, const std::string& top) {
    return path == top || path.compare(0, top.size() + 1, top + "/") == 0;
}

}  // namespace

UnionStore::UnionStore(const sdk::Core& core, const Settings& settings, const Trees& trees,
                       Sweeper& sweeper)
    : RootStore(settings),
      core_(core),
      images_(settings, core, trees, sweeper),
      changes_(settings.overlayfs, {"overlayfs", "unionfs-fuse", "fuse-overlayfs"}, sweeper),
      sweeper_(sweeper),
      default_type_(core.config(type_key)),
      processes_(core, [this](const sdk::Process& daemon) { daemon_ended(daemon); }) {
    make_unions();
    // VMs of this plugin may ask for other types than the node's, and lxc-btrfs is another
    // plugin's.
    if (default_type_ == "btrfs") default_type_ = "overlayfs";
    const Union* const usual = find(default_type_);
    if (usual == nullptr)
        throw sdk::Failure(QVD_INVALID, std::string(type_key) + " = " + default_type_ +
                                            " is unknown: there are overlayfs, unionfs-fuse, "
                                            "fuse-overlayfs and bind");
    const std::string obstacle = usual->obstacle(settings.overlayfs);
    if (!obstacle.empty())
        throw sdk::Failure(QVD_INVALID,
                           std::string(type_key) + " = " + default_type_ + ": " + obstacle);
}

void UnionStore::make_unions() {
    const auto fuse = [this](const char* name, FuseUnion::Arguments arguments) {
        const std::string key = std::string("command.") + name;
        unions_.push_back(std::make_unique<FuseUnion>(name, key,
                                                      std::string(core_.config(key.c_str())),
                                                      arguments, processes_, settings().run));
    };
    unions_.push_back(std::make_unique<Overlayfs>());
    fuse("unionfs-fuse", &unionfs_fuse_arguments);
    fuse("fuse-overlayfs", &fuse_overlayfs_arguments);
    unions_.push_back(std::make_unique<Bind>());
}

Union* UnionStore::find(const std::string& name) const {
    const auto found = std::find_if(unions_.begin(), unions_.end(),
                                    [&](const auto& one) { return one->name() == name; });
    return found == unions_.end() ? nullptr : found->get();
}

// At the node's start, for whoever sets up an OSF of another type: its users would be too late.
void UnionStore::collect() {
    for (const std::string& folder : {settings().basefs, settings().overlayfs})
        make_closed_folder(folder);
    for (const std::string& name : names_in(settings().overlayfs))
        if (name.compare(0, 7, ".probe-") == 0) remove_tree(settings().overlayfs + "/" + name);
    changes_.collect();
    for (const sdk::Process& daemon : FuseUnion::adopt(processes_)) daemon_ended(daemon);
    for (const auto& one : unions_) {
        const std::string obstacle = one->obstacle(settings().overlayfs);
        if (obstacle.empty()) continue;
        if (one->name() == default_type_)
            throw sdk::Failure(QVD_INVALID,
                               std::string(type_key) + " = " + default_type_ + ": " + obstacle);
        core_.info("VMs with " + std::string(type_key) + " = " + one->name() +
                   " cannot start on this node: " + obstacle);
    }
}

// "btrfs" in the place of a union is how `lxc` is made to mean the other plugin; who comes here all
// the same was told so by name.
Union& UnionStore::named_by(const sdk::Vm& vm) const {
    const std::string_view own = vm.properties().get(type_key);
    const std::string type = own.empty() || own == "btrfs" ? default_type_ : std::string(own);
    Union* const wanted = find(type);
    if (wanted == nullptr)
        throw sdk::Failure(QVD_INVALID, std::string("the property ") + type_key + " = " + type +
                                            " of this VM or its OSF is unknown: there are "
                                            "overlayfs, unionfs-fuse, fuse-overlayfs and bind");
    return *wanted;
}

Union& UnionStore::union_of(const sdk::Vm& vm) const {
    Union& wanted = named_by(vm);
    const std::string obstacle = wanted.obstacle(settings().overlayfs);
    if (!obstacle.empty())
        throw sdk::Failure(QVD_UNAVAILABLE, std::string(type_key) + " = " + wanted.name() +
                                                " does not work on this node: " + obstacle);
    return wanted;
}

std::string UnionStore::work_of(std::uint64_t vm_id) const {
    return settings().overlayfs + "/" + std::to_string(vm_id) + "-overlayfs-work";
}

std::string UnionStore::mapping_obstacle_of(const sdk::Vm& vm, const UnpackedImage& image,
                                            const UserMap& map) {
    make_folders(settings().overlayfs, 0700);
    const std::string obstacle = named_by(vm).mapping_obstacle_in(settings().overlayfs, map);
    return obstacle.empty() ? mapping_obstacle(image.root, map) : obstacle;
}

std::string UnionStore::usual_mapping_obstacle(const UserMap& map) {
    return find(default_type_)->mapping_obstacle_in(settings().overlayfs, map);
}

Root UnionStore::mount(const sdk::Vm& vm, const UnpackedImage& image, const UserMapPtr& map) {
    const sdk::Disk disk = *disk_of(vm, QVD_DISK_OS);
    Union& kind = union_of(vm);
    Layers layers;
    layers.image = image.root;
    layers.at = make_mount_point(vm.id(), map);
    layers.map = map;
    layers.read_only = binds_read_only(vm, core_);
    layers.halfway = settings().file_of(vm.id(), ".layers");
    if (kind.keeps_changes()) {
        layers.changes = changes_.path_of(vm, disk, kind.name());
        layers.work = work_of(vm.id());
        make_folders(settings().overlayfs, 0700);
        changes_.begin(vm, disk, layers.changes);
        make_folders(layers.changes, 0755);
        make_folders(layers.work, 0700);
    } else {
        furnish_image(image.root);
    }
    for (const std::string& path : {layers.image, layers.changes, layers.work, layers.at})
        check_name(path);
    Fields note;
    note.add("type", kind.name());
    note.add("image", image.path);
    note.add("began", now_ms());
    const std::string noted = settings().file_of(vm.id(), ".files");
    if (!replace_file(noted, note.text()))
        throw sdk::Failure(QVD_UNAVAILABLE, "cannot write " + noted + ": " + std::strerror(errno));
    kind.mount(layers, settings().container_of(vm.id()));
    Root root;
    root.path = layers.at;
    root.map = map;
    root.shared = !kind.keeps_changes();
    root.read_only = root.shared && layers.read_only;
    return root;
}

bool UnionStore::unmount(std::uint64_t vm_id) {
    if (!RootStore::unmount(vm_id)) return false;
    // Of a mount that was interrupted.
    const std::string halfway = settings().file_of(vm_id, ".layers");
    if (!unmount_all(halfway)) return false;
    remove_tree(halfway);
    // A daemon ends with its mount; one that does not has nothing to do any more.
    const std::string daemons = files_cgroup(settings().container_of(vm_id));
    if (!remove_cgroup(daemons)) {
        kill_cgroup(daemons);
        if (!remove_cgroup(daemons)) return false;
    }
    ::unlink(settings().file_of(vm_id, ".files").c_str());
    return true;
}

std::vector<std::uint64_t> UnionStore::mounted() {
    std::vector<std::uint64_t> vms = RootStore::mounted();
    const std::string prefix = files_cgroup(settings().container_prefix);
    for (const std::string& name : cgroups_named(prefix)) {
        const auto number = parse_number(std::string_view(name).substr(prefix.size()));
        if (number && *number > 0) vms.push_back(static_cast<std::uint64_t>(*number));
    }
    return vms;
}

void UnionStore::remove_changes(std::uint64_t vm_id) {
    changes_.remove(vm_id);
    if (!sweeper_.discard(work_of(vm_id)))
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "cannot remove " + work_of(vm_id) + ": " + std::strerror(errno));
}

// One that ended with its mount is as it should be; of another its VM's files are gone.
void UnionStore::daemon_ended(const sdk::Process& daemon) {
    const std::string container = FuseUnion::container_of(daemon.label);
    const std::string& prefix = settings().container_prefix;
    if (container.compare(0, prefix.size(), prefix) != 0) return;
    const auto vm_id = parse_number(std::string_view(container).substr(prefix.size()));
    if (!vm_id || *vm_id <= 0) return;
    const auto id = static_cast<std::uint64_t>(*vm_id);
    if (mounts_below(settings().place_of(id)).empty()) return;
    // Nor is one that ended with an earlier mount, heard of when the next one was there.
    const auto note = read_file(settings().file_of(id, ".files"));
    if (note && FuseUnion::began_ms(daemon.label) < Fields::parse(*note).number("began")) return;
    lose(id,
         "the daemon that keeps its files together ended" +
             (daemon.state == QVD_PROCESS_KILLED ? " by signal " + std::to_string(daemon.exit_code)
                                                 : std::string()));
}

bool UnionStore::UnionImages::in_use(const std::string& target) const {
    if (in_use_by_union(target)) return true;
    const std::vector<std::string> names = names_in(settings_.run);
    return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
        const auto note = ends_with(name, ".files") ? read_file(settings_.run + "/" + name)
                                                    : std::optional<std::string>();
        return note && is_below(Fields::parse(*note).get("image"), target);
    });
}

}  // namespace qvd::lxc
