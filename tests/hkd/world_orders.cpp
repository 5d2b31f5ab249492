// What is ordered of pretended VMs besides start and stop.
#include "base/file.hpp"
#include "tests/hkd/world.hpp"

namespace qvd::hkd::test {

Async<FoundVm> FakeBackend::state(VmPlan vm, Deadline deadline) {
    (void)deadline;
    const Call call(*this, vm.uuid, "state");
    if (!world_.state_is_told)
        co_return Error{ErrorKind::unavailable, "backend.failed", "there is no libvirt"};
    // Whoever took it away is dead: its memory is on disk.
    if (auto left = world_.away.extract(vm.uuid)) {
        world_.unmount_homes(vm.uuid);
        world_.saved.insert(std::move(left));
    }
    const auto process = world_.processes.find(vm.uuid);
    FoundVm found;
    found.uuid = vm.uuid;
    found.incarnation = vm.incarnation;
    found.state = plugin::BackendState::stopped;
    if (world_.saved.contains(vm.uuid)) found.state = plugin::BackendState::suspended;
    if (process != world_.processes.end())
        found.state =
            process->second.paused ? plugin::BackendState::paused : plugin::BackendState::running;
    if (process != world_.processes.end()) {
        found.sentence = process->second.why_paused;
        found.exit_code = process->second.errno_of_pause;
    }
    co_return found;
}

Result<std::string> FakeBackend::go_back(const VmPlan& vm, const std::string& path) {
    const auto checkpoint = world_.checkpoints.find(path);
    if (checkpoint == world_.checkpoints.end() || path != vm.checkpoint)
        return Error{ErrorKind::not_found, "fake.none", "there is no such checkpoint"};
    if (world_.processes.contains(vm.uuid))
        world_.violations.emplace_back("two processes of one VM");
    if (vm.agent_token.reveal() != checkpoint->second.token)
        world_.violations.emplace_back("brought back with another token");
    Process back = checkpoint->second;
    back.incarnation = vm.incarnation;
    world_.processes[vm.uuid] = back;
    world_.left_overs.insert(vm.uuid);
    world_.mount_home(vm);
    return std::string();
}

Result<std::string> FakeBackend::resume(const VmPlan& vm, const std::string& path) {
    if (!vm.checkpoint.empty()) return go_back(vm, path);
    const auto saved = world_.saved.find(vm.uuid);
    if (saved == world_.saved.end() || path != "/saved/" + vm.uuid)
        return Error{ErrorKind::not_found, "fake.none", "there is no saved memory"};
    if (vm.agent_token.empty()) world_.violations.emplace_back("restored without its token");
    world_.processes[vm.uuid] = saved->second;
    world_.saved.erase(saved);
    world_.mount_home(vm);
    return std::string();
}

Result<std::string> FakeBackend::saved(const VmPlan& vm) {
    world_.saved.insert(world_.away.extract(vm.uuid));
    world_.unmount_homes(vm.uuid);
    return "/saved/" + vm.uuid;
}

Result<std::string> FakeBackend::back_again(const VmPlan& vm) {
    if (world_.stays_away) {
        (void)saved(vm);
        return Error{ErrorKind::unavailable, "backend.failed", "it cannot be restored"};
    }
    const std::string folder =
        run_folder() + "/storage/" + std::to_string(world_.checkpoints.size()) + vm.uuid;
    (void)file::make_folders(folder);
    const auto back = world_.processes.insert(world_.away.extract(vm.uuid)).position;
    world_.checkpoints[folder] = back->second;
    return folder;
}

Async<std::string> FakeBackend::carry_out(VmPlan vm, VmCommand command, std::string argument,
                                          Deadline deadline) {
    const Call call(*this, vm.uuid, "carry_out");
    co_await schedule_.sleep(world_.order_takes);
    if (world_.refuses) co_return *world_.refuses;
    if (command == VmCommand::resume) co_return resume(vm, argument);
    if (command == VmCommand::suspend && world_.saved.contains(vm.uuid))
        co_return "/saved/" + vm.uuid;
    const auto found = world_.processes.find(vm.uuid);
    if (found == world_.processes.end())
        co_return Error{ErrorKind::not_found, "fake.none", "it does not run"};
    if (command == VmCommand::suspend || command == VmCommand::checkpoint) {
        world_.away.insert(world_.processes.extract(found));
        co_await schedule_.sleep(std::min(world_.away_for, deadline.remaining()));
        co_return command == VmCommand::suspend ? saved(vm) : back_again(vm);
    }
    if (command == VmCommand::pause || command == VmCommand::unpause) {
        found->second.paused = command == VmCommand::pause;
        found->second.why_paused.clear();
        found->second.errno_of_pause = 0;
    }
    co_return command == VmCommand::snapshot ? "/snapshots/" + argument : std::string();
}

}  // namespace qvd::hkd::test
