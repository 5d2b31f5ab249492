#include "trial_stage.hpp"

#include "base/file.hpp"
#include "base/unique_fd.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

namespace qvd::check {

namespace {

constexpr Milliseconds image_limit{1'800'000};

// Whether somebody takes a connection at this address.
bool connects(const std::string& address, int port) {
    const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);  // NOLINT: POSIX
    pollfd writable{socket.get(), POLLOUT, 0};
    int problem = 0;
    socklen_t size = sizeof problem;
    return ::poll(&writable, 1, 200) == 1 &&
           ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem == 0;
}

}  // namespace

void check(bool condition, const std::string& sentence) {
    if (!condition) throw Fault(sentence);
}

bool is_up(plugin::BackendState state) {
    return state == plugin::BackendState::starting || state == plugin::BackendState::running;
}

std::string name_of(plugin::BackendState state) {
    static constexpr std::array names{"stopped", "starting", "running",   "stopping",
                                      "unknown", "paused",   "suspended", "crashed"};
    const auto index = static_cast<std::size_t>(state);
    return index < names.size() ? names.at(index) : "unknown";
}

void TrialStage::begin() {
    node.begin({});
}

void TrialStage::prepare_image() {
    messenger.step("prepare_image()");
    const plugin::ImageStatus prepared = node.must(
        "prepare_image()", node.backend().prepare_image(
                               plan.os_image(), [](int, const std::string&) {}, image_limit));
    check(!prepared.unpacked_path.empty(), "prepare_image() hands back no unpacked_path");
}

void TrialStage::clear(const plugin::VmSpec& vm) {
    messenger.step("destroy_vm() and remove_vm() of " + vm.name);
    node.must("destroy_vm()", node.backend().destroy_vm(vm, call_limit));
    node.must("remove_vm() of a VM that was destroyed", node.backend().remove_vm(vm, call_limit));
}

plugin::VmStatus TrialStage::start(const plugin::VmSpec& vm) {
    messenger.step("start()");
    check(file::make_folders(vm.runtime_path, 0700).ok(), "cannot make " + vm.runtime_path);
    plugin::VmStatus status = node.must("start()", node.backend().start(vm, call_limit, "trial"));
    check(is_up(status.state), "start() succeeds and says that the VM is " + name_of(status.state) +
                                   "; it must be starting or running");
    check(status.uuid == vm.uuid && status.incarnation == vm.incarnation,
          "start() hands back the status of another VM or incarnation (" + status.uuid + ", " +
              std::to_string(status.incarnation) + ")");
    return status;
}

plugin::VmStatus TrialStage::start_up(const plugin::VmSpec& vm) {
    plugin::VmStatus status = start(vm);
    await_answer(vm);
    return status;
}

bool TrialStage::answers(const plugin::VmSpec& vm) const {
    if (plan.answer_port == 0 || vm.nics.empty()) return true;
    return connects(vm.nics.front().addresses.front().address, plan.answer_port);
}

void TrialStage::await_answer(const plugin::VmSpec& vm) {
    messenger.step("waiting for the guest");
    const bool up = node.wait_until(
        [&] {
            return answers(vm) &&
                   (plan.answer_port != 0 || state(vm).state == plugin::BackendState::running);
        },
        plan.patience);
    if (up) return;
    const plugin::VmStatus now = state(vm);
    throw Fault("the guest does not come up within " + std::to_string(plan.patience.count()) +
                " s (patience); by state() it is " + name_of(now.state) +
                (now.sentence.empty() ? std::string() : ": " + now.sentence));
}

void TrialStage::destroy(const plugin::VmSpec& vm) {
    messenger.step("destroy_vm()");
    node.must("destroy_vm()", node.backend().destroy_vm(vm, call_limit));
    must_be_gone(vm);
}

plugin::VmStatus TrialStage::state(const plugin::VmSpec& vm) {
    return node.must("state()", node.backend().state(vm, call_limit));
}

const plugin::VmStatus* TrialStage::find(const std::vector<plugin::VmStatus>& all,
                                         const plugin::VmSpec& vm) {
    for (const plugin::VmStatus& one : all)
        if (one.uuid == vm.uuid) return &one;
    return nullptr;
}

void TrialStage::must_be_gone(const plugin::VmSpec& vm) {
    const plugin::BackendState now = state(vm).state;
    check(now == plugin::BackendState::stopped,
          "after destroy_vm() state() says " + name_of(now) + "; it must be stopped");
    const auto all = node.must("survey()", node.backend().survey(call_limit));
    const plugin::VmStatus* const seen = find(all, vm);
    check(seen == nullptr || seen->state == plugin::BackendState::stopped,
          "after destroy_vm() survey() still finds the VM");
    for (const plugin::NicSpec& nic : vm.nics)
        check(::if_nametoindex(nic.host_device.c_str()) == 0,
              "after destroy_vm() the network device " + nic.host_device + " is still there");
    check(plan.answer_port == 0 || !answers(vm), "after destroy_vm() the guest still answers");
}

plugin::VmStatus TrialStage::await_end(const plugin::VmSpec& vm, const std::string& after) {
    messenger.step("waiting for the VM's end " + after);
    const auto told = node.end_of(vm.uuid, plan.stop_patience);
    if (!told) {
        const plugin::BackendState now = state(vm).state;
        throw Fault("nothing is reported (qvd_vm_events_service) " + after + " within " +
                    std::to_string(plan.stop_patience.count()) + " s; by state() the VM is " +
                    name_of(now));
    }
    check(told->incarnation == vm.incarnation, "the report " + after + " names the incarnation " +
                                                   std::to_string(told->incarnation) + ", and " +
                                                   std::to_string(vm.incarnation) + " ran");
    return *told;
}

}  // namespace qvd::check
