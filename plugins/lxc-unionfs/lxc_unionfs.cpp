#include "lxc_unionfs.hpp"

#include <set>
#include <string>

namespace qvd::lxc {

namespace {

// Before anything is made: which union file system the operator wants.
const sdk::Core& checked(const sdk::Core& core) {
    const std::string type(core.config("vm.lxc.unionfs.type"));
    if (type != "overlayfs")
        throw sdk::Failure(QVD_INVALID, "vm.lxc.unionfs.type = " + type +
                                            " is not supported by this plugin: it does overlayfs");
    return core;
}

}  // namespace

LxcUnionfs::LxcUnionfs(const sdk::Core& core)
    : core_(core),
      settings_(checked(core)),
      sweeper_([core](const std::string& sentence) { core.warning(sentence); }),
      images_(settings_, core, sweeper_),
      store_(settings_, sweeper_),
      containers_(core, settings_, store_) {
}

void LxcUnionfs::collect(sdk::Texts keep, sdk::Call& /*call*/) {
    std::set<std::string> uuids;
    for (const std::string_view uuid : keep) uuids.emplace(uuid);
    make_folders(settings_.run, 0700);
    store_.collect();
    images_.collect();
    containers_.collect(uuids);
}

std::vector<sdk::VmStatus> LxcUnionfs::survey(sdk::Call& /*call*/) {
    return containers_.survey();
}

std::string LxcUnionfs::target_of(const sdk::Image& image) const {
    if (!image.unpacked_path().empty()) return std::string(image.unpacked_path());
    const std::string path(image.path());
    return settings_.basefs + "/" + path.substr(path.rfind('/') + 1);
}

sdk::PreparedImage LxcUnionfs::prepare_image(const sdk::Image& image, sdk::Call& call) {
    if (image.format() != QVD_FORMAT_TAR)
        throw sdk::Failure(QVD_UNSUPPORTED,
                           std::string(image.path()) + ": a container starts from a tar archive");
    const UnpackedImage unpacked =
        images_.prepare(std::string(image.path()), target_of(image), call);
    return {unpacked.path, unpacked.bytes};
}

void LxcUnionfs::remove_image(const sdk::Image& image, sdk::Call& /*call*/) {
    images_.remove(target_of(image));
}

sdk::VmStatus LxcUnionfs::start(const sdk::Vm& vm, sdk::Call& call) {
    return containers_.start(vm, call);
}

void LxcUnionfs::stop(const sdk::Vm& vm, sdk::Call& /*call*/) {
    containers_.stop(vm.id());
}

void LxcUnionfs::destroy_vm(const sdk::Vm& vm, sdk::Call& call) {
    containers_.destroy(vm, call);
}

sdk::VmStatus LxcUnionfs::state(const sdk::Vm& vm, sdk::Call& /*call*/) {
    return containers_.state(vm.id());
}

void LxcUnionfs::remove_vm(const sdk::Vm& vm, sdk::Call& call) {
    containers_.destroy(vm, call);
    const auto lock = containers_.hold(vm.id());
    store_.remove_overlays(vm.id());
    containers_.forget(vm.id());
    if (const auto home = disk_of(vm, QVD_DISK_HOME)) {
        const std::string path(home->path());
        if (!sweeper_.discard(path))
            throw sdk::Failure(QVD_UNAVAILABLE, "cannot remove the home folder " + path);
    }
}

std::vector<sdk::Endpoint> LxcUnionfs::console(const sdk::Vm& vm, sdk::Call& /*call*/) {
    return containers_.console(vm.id());
}

sdk::Usage LxcUnionfs::usage(const sdk::Vm& vm, sdk::Call& /*call*/) {
    return containers_.usage(vm.id());
}

sdk::Capacity LxcUnionfs::capacity(sdk::Call& /*call*/) {
    return load_.measure();
}

}  // namespace qvd::lxc
