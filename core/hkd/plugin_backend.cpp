#include "hkd/plugin_backend.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "plugin/host.hpp"
#include "plugin/keys.hpp"

#include <qvd/hypervisor.h>

#include <algorithm>

namespace qvd::hkd {

namespace {

constexpr Milliseconds survey_limit{60'000};
// Of one that has not said yet what it runs, and then twice as long each time: the node and its
// other hypervisors wait for it.
constexpr Milliseconds first_survey_limit{10'000};

FoundVm found(plugin::VmStatus status, std::string hypervisor) {
    FoundVm one;
    static_cast<plugin::VmStatus&>(one) = std::move(status);
    one.hypervisor = std::move(hypervisor);
    return one;
}

plugin::VmSpec spec_of(const VmPlan& plan) {
    return static_cast<const plugin::VmSpec&>(plan);
}

std::uint64_t capability_for(VmCommand command) {
    switch (command) {
        case VmCommand::pause:
        case VmCommand::unpause:
            return QVD_CAN_PAUSE;
        case VmCommand::suspend:
        case VmCommand::resume:
            return QVD_CAN_SAVE;
        case VmCommand::checkpoint:
            return QVD_CAN_CHECKPOINT;
        case VmCommand::snapshot:
            return QVD_CAN_SNAPSHOT;
        case VmCommand::reset:
            return QVD_CAN_RESET;
        default:
            return 0;
    }
}

bool makes_something(VmCommand command) {
    return command == VmCommand::suspend || command == VmCommand::checkpoint ||
           command == VmCommand::snapshot;
}

Async<std::string> make(plugin::Hypervisor* one, plugin::VmSpec vm, VmCommand command,
                        std::string argument, Milliseconds limit) {
    auto asked = command == VmCommand::suspend ? one->save(std::move(vm), limit)
                 : command == VmCommand::checkpoint
                     ? one->checkpoint(std::move(vm), limit)
                     : one->snapshot(std::move(vm), std::move(argument), limit);
    QVD_CO_TRY(const plugin::SavedVm made, co_await std::move(asked));
    co_return made.path;
}

Async<void> change(plugin::Hypervisor* one, plugin::VmSpec vm, VmCommand command,
                   std::string argument, Milliseconds limit) {
    switch (command) {
        case VmCommand::pause:
            return one->pause(std::move(vm), limit);
        case VmCommand::unpause:
            return one->unpause(std::move(vm), limit);
        case VmCommand::resume:
            return one->restore(std::move(vm), std::move(argument), limit);
        default:
            return one->reset(std::move(vm), limit);
    }
}

}  // namespace

PluginBackend::PluginBackend(plugin::Host& host, plugin::Registry& registry)
    : host_(host), registry_(registry) {
}

std::string PluginBackend::resolved(const std::string& name) const {
    return plugin::Registry::resolve(QVD_HYPERVISOR, name, host_.view());
}

Result<plugin::Hypervisor*> PluginBackend::loaded(const std::string& name) {
    auto& known = hypervisors_[resolved(name)];
    if (!known) {
        auto instance = registry_.make(QVD_HYPERVISOR, name);
        if (!instance.ok()) {
            hypervisors_.erase(resolved(name));
            return std::move(instance).error();
        }
        known = std::make_unique<plugin::Hypervisor>(std::move(instance).value());
    }
    return known.get();
}

Result<plugin::Hypervisor*> PluginBackend::admitted(const std::string& name) {
    const std::vector<std::string> listed = host_.view().get(plugin::hypervisors);
    const bool is_listed = std::ranges::any_of(
        listed, [&](const std::string& one) { return resolved(one) == resolved(name); });
    if (!listed.empty() && !is_listed)
        return Error{ErrorKind::invalid, "hypervisor.not_listed",
                     "its vm.hypervisor is " + name + ", and this node runs only VMs of " +
                         text::join(listed, ", ") + " (hkd.hypervisor.plugins)"};
    return loaded(name);
}

Result<void> PluginBackend::load() {
    const config::View view = host_.view();
    std::vector<std::string> names = view.get(plugin::hypervisors);
    if (names.empty()) names.push_back(view.get(plugin::hypervisor));
    for (const std::string& name : names) QVD_CHECK(know(name));
    return {};
}

Result<void> PluginBackend::know(const std::string& hypervisor) {
    QVD_TRY([[maybe_unused]] plugin::Hypervisor* const one, loaded(hypervisor));
    return {};
}

std::vector<std::string> PluginBackend::names() const {
    std::vector<std::string> all;
    for (const auto& [name, one] : hypervisors_) all.push_back(name);
    return all;
}

Backend::Token PluginBackend::listen(std::function<void(const FoundVm&)> hear) {
    listener_ = std::make_shared<std::function<void(const FoundVm&)>>(std::move(hear));
    host_.on_vm_event = [weak = std::weak_ptr(listener_)](plugin::VmStatus status) {
        if (const auto listener = weak.lock()) (*listener)(found(std::move(status), ""));
    };
    return {nullptr, [this](std::nullptr_t) { listener_.reset(); }};
}

Async<void> PluginBackend::collect(std::vector<std::string> keep_uuids) {
    // To clean up takes what it takes: those that hang are not asked to.
    QVD_CO_TRY(const Survey before, co_await survey());
    for (const std::string& name : names()) {
        if (before.silent.contains(name)) continue;
        std::string copy = name;
        std::vector<std::string> keep = keep_uuids;
        QVD_CO_CHECK(co_await collect_of(std::move(copy), std::move(keep)));
    }
    co_return Result<void>{};
}

Async<void> PluginBackend::collect_of(std::string hypervisor, std::vector<std::string> keep_uuids) {
    const auto known = hypervisors_.find(hypervisor);
    if (known == hypervisors_.end()) co_return Result<void>{};
    plugin::Hypervisor& one = *known->second;
    const Result<void> collected = co_await one.collect(std::move(keep_uuids), survey_limit);
    // What cannot be cleaned up now is in the way of one VM at most, not of the node.
    if (!collected.ok())
        log::warn("hypervisor.not_collected", {{"plugin", hypervisor}},
                  collected.error().sentence());
    co_return Result<void>{};
}

Async<Survey> PluginBackend::survey() {
    Survey all;
    // Another may become known while one is asked.
    for (const std::string& name : names()) {
        Milliseconds& patience = patience_.try_emplace(name, first_survey_limit).first->second;
        auto seen = co_await hypervisors_.at(name)->survey(patience);
        patience = seen.ok() ? survey_limit : std::min(2 * patience, survey_limit);
        if (!seen.ok()) {
            all.silent.emplace(name, seen.error());
            continue;
        }
        for (plugin::VmStatus& status : *seen) all.found.push_back(found(std::move(status), name));
    }
    co_return all;
}

Async<void> PluginBackend::prepare_image(ImagePlan image, Deadline deadline, Progress progress) {
    QVD_CO_TRY(plugin::Hypervisor* const one, admitted(image.hypervisor));
    plugin::ImageSpec spec = static_cast<const plugin::ImageSpec&>(image);
    plugin::Progress tell = [progress = std::move(progress)](int percent,
                                                             const std::string& sentence) {
        progress(percent > 0 ? sentence + ": " + std::to_string(percent) + " %" : sentence);
    };
    const auto prepared =
        co_await one->prepare_image(std::move(spec), std::move(tell), deadline.remaining());
    if (!prepared.ok()) co_return prepared.error();
    co_return Result<void>{};
}

Async<void> PluginBackend::start(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, admitted(vm.hypervisor));
    std::string trace = "vm-" + vm.vm.text() + "." + std::to_string(vm.incarnation);
    plugin::VmSpec spec = spec_of(vm);
    const auto started =
        co_await one->start(std::move(spec), deadline.remaining(), std::move(trace));
    if (!started.ok()) co_return started.error();
    co_return Result<void>{};
}

Async<void> PluginBackend::stop(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    plugin::VmSpec spec = spec_of(vm);
    co_return co_await one->stop(std::move(spec), deadline.remaining());
}

Async<void> PluginBackend::destroy(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    plugin::VmSpec spec = spec_of(vm);
    co_return co_await one->destroy_vm(std::move(spec), deadline.remaining());
}

Async<FoundVm> PluginBackend::state(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    plugin::VmSpec spec = spec_of(vm);
    QVD_CO_TRY(plugin::VmStatus status, co_await one->state(std::move(spec), deadline.remaining()));
    co_return found(std::move(status), one->name());
}

Async<plugin::VmUsageStatus> PluginBackend::usage(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    plugin::VmSpec spec = spec_of(vm);
    co_return co_await one->usage(std::move(spec), deadline.remaining());
}

Async<std::vector<plugin::ConsoleEndpoint>> PluginBackend::console(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    plugin::VmSpec spec = spec_of(vm);
    co_return co_await one->console(std::move(spec), deadline.remaining());
}

Async<std::string> PluginBackend::carry_out(VmPlan vm, VmCommand command, std::string argument,
                                            Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    if ((one->capabilities() & capability_for(command)) == 0)
        co_return Error{ErrorKind::unsupported, "hypervisor.cannot",
                        "the hypervisor " + one->name() + " cannot " +
                            std::string(to_string(command)) + " VMs on this node"};
    plugin::VmSpec spec = spec_of(vm);
    if (makes_something(command))
        co_return co_await make(one, std::move(spec), command, std::move(argument),
                                deadline.remaining());
    QVD_CO_CHECK(
        co_await change(one, std::move(spec), command, std::move(argument), deadline.remaining()));
    co_return std::string();
}

Async<void> PluginBackend::remove_image(ImagePlan image, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(image.hypervisor));
    plugin::ImageSpec spec = static_cast<const plugin::ImageSpec&>(image);
    co_return co_await one->remove_image(std::move(spec), deadline.remaining());
}

Async<void> PluginBackend::remove_vm(VmPlan vm, Deadline deadline) {
    QVD_CO_TRY(plugin::Hypervisor* const one, loaded(vm.hypervisor));
    plugin::VmSpec spec = spec_of(vm);
    co_return co_await one->remove_vm(std::move(spec), deadline.remaining());
}

Async<plugin::NodeCapacity> PluginBackend::capacity(Deadline deadline) {
    const std::string name = host_.view().get(plugin::hypervisor);
    const auto known = hypervisors_.find(resolved(name));
    if (known == hypervisors_.end())
        co_return Error{ErrorKind::unsupported, "backend.unsupported",
                        "the default hypervisor " + name + " is not loaded"};
    plugin::Hypervisor& one = *known->second;
    co_return co_await one.capacity(deadline.remaining());
}

}  // namespace qvd::hkd
