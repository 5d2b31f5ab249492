#include "trial_cases.hpp"

#include "base/file.hpp"

#include <sys/mount.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace qvd::check {

namespace {

using plugin::BackendState;
using plugin::VmSpec;
using plugin::VmStatus;

void image(TrialStage& stage) {
    stage.prepare_image();
    stage.prepare_image();  // at once, it is there
    plugin::ImageSpec broken = stage.plan.os_image();
    broken.di = DiId{8};
    const std::string ending = std::filesystem::path(broken.path).filename().string();
    broken.path = stage.plan.folder + "/broken-" + ending;
    broken.unpacked_path += "-broken";
    check(file::write_atomic(broken.path, "This is no image.\n", 0600).ok(),
          "cannot write " + broken.path);
    stage.messenger.step("prepare_image() of a broken image");
    plugin::Progress nobody = [](int, const std::string&) {};
    const auto prepared =
        stage.node.ask(stage.node.backend().prepare_image(broken, nobody, call_limit));
    if (!prepared.ok()) {
        check(!std::filesystem::exists(broken.unpacked_path),
              "prepare_image() refuses a broken image and leaves " + broken.unpacked_path);
        return;
    }
    // One that prepares nothing finds out when it starts.
    VmSpec vm = stage.plan.vm(1, 1);
    vm.disks.front().path = broken.path;
    vm.disks.front().unpacked_path = prepared->unpacked_path;
    const auto started = stage.node.ask(stage.node.backend().start(vm, call_limit, "trial"));
    check(!started.ok(), "neither prepare_image() nor start() refuses a file that is no image");
    stage.clear(vm);
}

void life(TrialStage& stage) {
    const VmSpec vm = stage.plan.vm(1, 1);
    const VmStatus started = stage.start_up(vm);
    const auto all = stage.node.must("survey()", stage.node.backend().survey(call_limit));
    const VmStatus* const seen = TrialStage::find(all, vm);
    check(seen != nullptr && is_up(seen->state), "survey() does not find a VM that runs");
    check(seen->incarnation == 1, "survey() names another incarnation than the one that runs");
    const VmStatus again = stage.start(vm);
    check(again.pid == started.pid,
          "a repeated start() of the incarnation that runs starts it "
          "once more; it must only say that it runs");
    stage.messenger.step("start() of the next incarnation while this one runs");
    const auto next =
        stage.node.ask(stage.node.backend().start(stage.plan.vm(1, 2), call_limit, "trial"));
    check(!next.ok() && next.error().kind() == ErrorKind::conflict,
          "start() of the next incarnation, while this one runs, must be QVD_CONFLICT");
    check(stage.answers(vm), "the guest is gone after a start() of its next incarnation");

    stage.messenger.step("stop()");
    stage.node.must("stop()", stage.node.backend().stop(vm, call_limit));
    if (!stage.plan.heeds_stop) return stage.clear(vm);
    const VmStatus end = stage.await_end(vm, "after stop()");
    check(end.state == BackendState::stopped,
          "a guest that was stopped is reported as " + name_of(end.state) + ": " + end.sentence);
    stage.node.must("stop() of a VM that has stopped", stage.node.backend().stop(vm, call_limit));
    stage.destroy(vm);
    stage.destroy(vm);  // nothing is left: that is no failure
    stage.clear(vm);
}

void figures(TrialStage& stage) {
    const VmSpec vm = stage.plan.vm(1, 1);
    stage.messenger.step("capacity()");
    const auto capacity = stage.node.ask(stage.node.backend().capacity(call_limit));
    if (capacity.ok())
        check(capacity->cpus > 0 && capacity->total_memory_mib > 0 &&
                  capacity->free_memory_mib <= capacity->total_memory_mib &&
                  capacity->idle_cpu >= 0 && capacity->idle_cpu <= 1,
              "capacity() tells what no machine has");
    else
        check(capacity.error().kind() == ErrorKind::unsupported,
              "capacity() fails: " + capacity.error().sentence());
    stage.messenger.step("usage() of a VM that does not run");
    const auto none = stage.node.ask(stage.node.backend().usage(vm, call_limit));
    check(!none.ok(), "usage() tells of a VM that does not run; it must be QVD_NOT_FOUND");
    stage.start_up(vm);
    stage.messenger.step("usage()");
    const auto used = stage.node.ask(stage.node.backend().usage(vm, call_limit));
    if (used.ok())
        check(used->memory_bytes > 0 && used->cpu_seconds >= 0,
              "usage() says that a VM that runs uses no memory");
    else
        check(used.error().kind() == ErrorKind::unsupported,
              "usage() fails: " + used.error().sentence());
    if ((stage.node.backend().capabilities() & QVD_CAN_CONSOLE) != 0) {
        stage.messenger.step("console()");
        const auto ways =
            stage.node.must("console()", stage.node.backend().console(vm, call_limit));
        check(!ways.empty(), "console() hands back no endpoint, though QVD_CAN_CONSOLE is set");
        for (const plugin::ConsoleEndpoint& way : ways)
            check(way.transport == "tcp" || ::access(way.address.c_str(), F_OK) == 0,
                  "console() names " + way.address + ", which does not exist");
    }
    stage.clear(vm);
}

void repeats(TrialStage& stage) {
    constexpr int rounds = 4;
    for (int round = 1; round <= rounds; ++round) {
        const VmSpec vm = stage.plan.vm(1, round);
        stage.start(vm);
        if (round == rounds) stage.await_answer(vm);
        stage.destroy(vm);
    }
    stage.clear(stage.plan.vm(1, rounds));
}

void guest_crashes(TrialStage& stage) {
    const VmSpec vm = stage.plan.vm(1, 1);
    const VmStatus started = stage.start_up(vm);
    check(started.pid > 1, "start() hands back no pid of what keeps the VM running");
    stage.node.forget_ends();
    ::kill(started.pid, SIGKILL);
    const VmStatus end = stage.await_end(vm, "after its process was killed");
    check(end.state == BackendState::crashed, "a VM whose process was killed is reported as " +
                                                  name_of(end.state) +
                                                  "; it must be QVD_VM_CRASHED");
    check(!end.sentence.empty(), "a crash is reported without a sentence");
    check(!is_up(stage.state(vm).state), "state() says that a VM runs that has crashed");
    stage.destroy(vm);
    const VmSpec next = stage.plan.vm(1, 2);
    stage.start_up(next);
    stage.clear(next);
}

void refusals(TrialStage& stage) {
    const auto refused = [&](const VmSpec& vm, const std::string& what) {
        stage.messenger.step("start() with " + what);
        const auto started = stage.node.ask(stage.node.backend().start(vm, call_limit, "trial"));
        check(!started.ok(), "start() succeeds with " + what);
        check(!started.error().sentence().empty(),
              "start() fails with " + what + " and does not say why");
        const BackendState now = stage.state(vm).state;
        check(!is_up(now),
              "after a start() that failed (" + what + ") state() says " + name_of(now));
        stage.destroy(vm);
    };
    VmSpec vm = stage.plan.vm(1, 1);
    if (!vm.nics.empty()) {
        vm.nics.front().bridge = "qvdnobridge0";
        refused(vm, "a bridge that is not there");
    }
    VmSpec imageless = stage.plan.vm(1, 2);
    imageless.disks.front().path += "-missing";
    imageless.disks.front().unpacked_path += "-missing";
    refused(imageless, "an image that is not there");
    const VmSpec sound = stage.plan.vm(1, 3);
    stage.start_up(sound);
    stage.clear(sound);
}

// A small disk without a byte left, while it lives.
class FullDisk {
public:
    explicit FullDisk(std::string path) : path_(std::move(path)) {
        std::error_code ignored;
        std::filesystem::create_directories(path_, ignored);
        // NOLINTNEXTLINE(cppcoreguidelines-prefer-member-initializer): the folder has to be there
        mounted_ = ::mount("qvd-trial", path_.c_str(), "tmpfs", 0, "size=16k,mode=0755") == 0;
        if (mounted_) std::ofstream(path_ + "/full") << std::string(64UL * 1024, 'x');
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    ~FullDisk() {
        if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    }
    [[nodiscard]] bool is_there() const { return mounted_; }

private:
    std::string path_;
    bool mounted_ = false;
};

// Whatever a backend makes of it, it says so, leaves nothing and goes on afterwards.
void full_disk(TrialStage& stage) {
    const std::string path = stage.plan.folder + "/full";
    stage.messenger.step("mounting a small disk");
    const FullDisk disk(path);
    if (!disk.is_there()) return;  // not root: nothing can be shown
    VmSpec vm = stage.plan.vm(1, 1);
    for (plugin::DiskSpec& one : vm.disks) {
        if (!one.overlay_path.empty()) one.overlay_path = path + "/7-1" + stage.plan.overlay_ending;
        if (one.role == plugin::DiskRole::home) one.path = path + "/home";
    }
    stage.messenger.step("start() with a full disk");
    check(file::make_folders(vm.runtime_path, 0700).ok(), "cannot make " + vm.runtime_path);
    const auto started = stage.node.ask(stage.node.backend().start(vm, call_limit, "trial"));
    if (!started.ok()) {
        check(!started.error().sentence().empty(),
              "start() fails with a full disk and does not say why");
        const BackendState now = stage.state(vm).state;
        check(!is_up(now),
              "after a start() that failed (a full disk) state() says " + name_of(now));
    }
    stage.clear(vm);
    const VmSpec sound = stage.plan.vm(1, 2);
    stage.start_up(sound);
    stage.clear(sound);
}

void image_changes(TrialStage& stage) {
    const VmSpec vm = stage.plan.vm(1, 1);
    stage.start_up(vm);
    stage.messenger.step("remove_image() while a VM has it");
    const auto removed =
        stage.node.ask(stage.node.backend().remove_image(stage.plan.os_image(), call_limit));
    check(removed.ok() || removed.error().kind() == ErrorKind::conflict,
          "remove_image() of an image that a VM has fails with another status than "
          "QVD_CONFLICT: " +
              (removed.ok() ? "" : removed.error().sentence()));
    check(stage.answers(vm) && is_up(stage.state(vm).state),
          "a VM does not survive remove_image() of its image");
    // A new version beside it.
    stage.messenger.step("prepare_image() of a second version");
    plugin::ImageSpec second = stage.plan.os_image();
    second.di = DiId{9};
    second.unpacked_path += "-2";
    plugin::Progress nobody = [](int, const std::string&) {};
    const auto prepared = stage.node.must(
        "prepare_image()", stage.node.backend().prepare_image(second, nobody, call_limit));
    VmSpec other = stage.plan.vm(2, 1);
    other.di = second.di;
    other.disks.front().di = second.di;
    other.disks.front().unpacked_path = prepared.unpacked_path;
    if (!stage.plan.read_only)
        other.disks.front().overlay_path = stage.plan.overlays + "/9-2" + stage.plan.overlay_ending;
    stage.start_up(other);
    check(stage.answers(vm), "a VM does not survive the start of another from a newer image");
    stage.clear(other);
    stage.clear(vm);
    stage.node.must("remove_image()", stage.node.backend().remove_image(second, call_limit));
    stage.prepare_image();
}

void several(TrialStage& stage) {
    std::vector<VmSpec> vms;
    for (int number = 1; number <= stage.plan.vms; ++number)
        vms.push_back(stage.plan.vm(number, 1));
    for (const VmSpec& vm : vms) stage.start(vm);
    for (const VmSpec& vm : vms) stage.await_answer(vm);
    const auto all = stage.node.must("survey()", stage.node.backend().survey(call_limit));
    for (const VmSpec& vm : vms)
        check(TrialStage::find(all, vm) != nullptr, "survey() misses one of several VMs");
    stage.destroy(vms.front());
    for (std::size_t i = 1; i < vms.size(); ++i)
        check(stage.answers(vms[i]), "destroy_vm() of one VM ends another");
    for (const VmSpec& vm : vms) stage.clear(vm);
}

void pauses(TrialStage& stage, const VmSpec& vm) {
    plugin::Hypervisor& backend = stage.node.backend();
    stage.messenger.step("pause() and unpause()");
    stage.node.must("pause()", backend.pause(vm, call_limit));
    const BackendState paused = stage.state(vm).state;
    check(paused == BackendState::paused, "after pause() state() says " + name_of(paused));
    stage.node.must("pause() of a paused VM", backend.pause(vm, call_limit));
    stage.node.must("unpause()", backend.unpause(vm, call_limit));
    stage.await_answer(vm);
    stage.node.must("pause()", backend.pause(vm, call_limit));
    stage.destroy(vm);  // of a paused one, too
}

void extras(TrialStage& stage) {
    const std::uint64_t can = stage.node.backend().capabilities();
    VmSpec vm = stage.plan.vm(1, 1);
    stage.start_up(vm);
    plugin::Hypervisor& backend = stage.node.backend();
    if ((can & QVD_CAN_PAUSE) != 0) {
        pauses(stage, vm);
        vm = stage.plan.vm(1, 2);
        stage.start_up(vm);
    }
    const auto exists = [](const plugin::SavedVm& saved) {
        return ::access(saved.path.c_str(), F_OK) == 0;
    };
    if ((can & QVD_CAN_CHECKPOINT) != 0) {
        stage.messenger.step("checkpoint()");
        const auto saved = stage.node.must("checkpoint()", backend.checkpoint(vm, call_limit));
        check(exists(saved), "checkpoint() names " + saved.path + ", which does not exist");
        stage.await_answer(vm);
    }
    if ((can & QVD_CAN_SNAPSHOT) != 0) {
        stage.messenger.step("snapshot()");
        stage.node.must("snapshot()", backend.snapshot(vm, "trial", call_limit));
        stage.await_answer(vm);
    }
    if ((can & QVD_CAN_RESET) != 0) {
        stage.messenger.step("reset()");
        stage.node.must("reset()", backend.reset(vm, call_limit));
        stage.await_answer(vm);
    }
    if ((can & QVD_CAN_SAVE) != 0) {
        stage.messenger.step("save() and restore()");
        const auto saved = stage.node.must("save()", backend.save(vm, call_limit));
        check(exists(saved), "save() names " + saved.path + ", which does not exist");
        const BackendState now = stage.state(vm).state;
        check(now == BackendState::suspended || now == BackendState::stopped,
              "after save() state() says " + name_of(now));
        stage.node.must("restore()", backend.restore(vm, saved.path, call_limit));
        stage.await_answer(vm);
    }
    stage.clear(vm);
}

}  // namespace

const std::vector<TrialCase>& trial_cases() {
    static const std::vector<TrialCase> cases{{"image", &image, false},
                                              {"life", &life},
                                              {"figures", &figures},
                                              {"repeat", &repeats},
                                              {"crash of the guest", &guest_crashes},
                                              {"refusals", &refusals},
                                              {"full disk", &full_disk},
                                              {"image changed while running", &image_changes},
                                              {"several VMs", &several},
                                              {"optional functions", &extras}};
    return cases;
}

}  // namespace qvd::check
