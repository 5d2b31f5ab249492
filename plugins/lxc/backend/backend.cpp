#include "backend/backend.hpp"

#include <unistd.h>

#include <set>
#include <string>

namespace qvd::lxc {

LxcBackend::LxcBackend(const sdk::Core& core, std::unique_ptr<Trees> trees,
                       const MakeStore& make_store)
    : core_(core),
      settings_(core),
      trees_(std::move(trees)),
      sweeper_(*trees_, [core](const std::string& sentence) { core.warning(sentence); }),
      store_(make_store({core_, settings_, *trees_, sweeper_})),
      containers_(core, settings_, *store_) {
    store_->when_lost([this](std::uint64_t vm_id, const std::string& sentence) {
        containers_.fail(vm_id, sentence);
    });
}

void LxcBackend::collect(sdk::Texts keep, sdk::Call& /*call*/) {
    std::set<std::string> uuids;
    for (const std::string_view uuid : keep) uuids.emplace(uuid);
    make_folders(settings_.run, 0711);
    make_closed_folder(settings_.homefs);
    sweeper_.sweep_discarded(settings_.homefs);
    store_->collect();
    store_->images().collect();
    containers_.collect(uuids);
    containers_.tell_of_user_maps();
}

std::vector<sdk::VmStatus> LxcBackend::survey(sdk::Call& /*call*/) {
    return containers_.survey();
}

sdk::PreparedImage LxcBackend::prepare_image(const sdk::Image& image, sdk::Call& call) {
    if (image.format() != QVD_FORMAT_TAR)
        throw sdk::Failure(QVD_UNSUPPORTED,
                           std::string(image.path()) + ": a container starts from a tar archive");
    Images& images = store_->images();
    const UnpackedImage unpacked =
        images.prepare(std::string(image.path()), images.target_of(image), call);
    return {unpacked.path, unpacked.bytes};
}

void LxcBackend::remove_image(const sdk::Image& image, sdk::Call& /*call*/) {
    store_->images().remove(store_->images().target_of(image));
}

sdk::VmStatus LxcBackend::start(const sdk::Vm& vm, sdk::Call& call) {
    return containers_.start(vm, call);
}

void LxcBackend::stop(const sdk::Vm& vm, sdk::Call& /*call*/) {
    containers_.stop(vm.id());
}

void LxcBackend::destroy_vm(const sdk::Vm& vm, sdk::Call& call) {
    containers_.destroy(vm, call);
}

sdk::VmStatus LxcBackend::state(const sdk::Vm& vm, sdk::Call& /*call*/) {
    return containers_.state(vm.id());
}

void LxcBackend::remove_vm(const sdk::Vm& vm, sdk::Call& call) {
    containers_.destroy(vm, call);
    const auto lock = containers_.hold(vm.id());
    store_->remove_changes(vm.id());
    containers_.forget(vm.id());
    if (const auto home = disk_of(vm, QVD_DISK_HOME)) {
        const std::string path(home->path());
        if (!sweeper_.discard(path))
            throw sdk::Failure(QVD_UNAVAILABLE, "cannot remove the home folder " + path);
        ::unlink(lock_of_home(path).c_str());
    }
}

std::vector<sdk::Endpoint> LxcBackend::console(const sdk::Vm& vm, sdk::Call& /*call*/) {
    return containers_.console(vm.id());
}

void LxcBackend::pause(const sdk::Vm& vm, sdk::Call& /*call*/) {
    containers_.pause(vm.id());
}

void LxcBackend::unpause(const sdk::Vm& vm, sdk::Call& /*call*/) {
    containers_.unpause(vm.id());
}

sdk::Usage LxcBackend::usage(const sdk::Vm& vm, sdk::Call& /*call*/) {
    return containers_.usage(vm.id());
}

sdk::Capacity LxcBackend::capacity(sdk::Call& /*call*/) {
    return load_.measure();
}

}  // namespace qvd::lxc
