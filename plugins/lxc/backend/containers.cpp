#include "backend/containers.hpp"

#include "backend/folders.hpp"
#include "backend/keeper_socket.hpp"
#include "backend/network.hpp"
#include "common/cgroups.hpp"
#include "common/files.hpp"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

namespace qvd::lxc {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds answer_patience{2000};  // of a keeper, which only ever waits in poll()
constexpr milliseconds look_again{5};

bool ended(int pidfd) {
    pollfd one{pidfd, POLLIN, 0};
    return ::poll(&one, 1, 0) > 0;
}

UnpackedImage image_of(const sdk::Vm& vm) {
    const auto disk = disk_of(vm, QVD_DISK_OS);
    if (!disk || disk->unpacked_path().empty())
        throw sdk::Failure(QVD_INVALID, "the VM has no unpacked image to start from");
    return Images::find(std::string(disk->unpacked_path()));
}

bool is_quiet(const std::string& reason) {
    return reason == "stopped" || reason == "killed";
}

}  // namespace

Containers::Containers(const sdk::Core& core, const Settings& settings, RootStore& store)
    : core_(core),
      settings_(settings),
      store_(store),
      events_(core),
      processes_(core, [](const sdk::Process&) {}),  // the keeper's socket tells more
      watcher_([this](std::uint64_t vm_id, const Fields& last) { on_end(vm_id, last); }) {
}

std::unique_lock<std::mutex> Containers::hold(std::uint64_t vm_id) {
    std::mutex* mine = nullptr;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        auto& slot = locks_[vm_id];
        if (!slot) slot = std::make_unique<std::mutex>();
        mine = slot.get();
    }
    return std::unique_lock<std::mutex>(*mine);
}

std::optional<Fields> Containers::ask(std::uint64_t vm_id, std::string_view request) {
    KeeperSocket keeper = KeeperSocket::open(settings_.file_of(vm_id, ".sock"));
    if (!keeper) return std::nullopt;
    return keeper.ask(request, answer_patience);
}

// What the keeper last wrote of a container that has ended, or whose keeper was killed.
std::optional<Fields> Containers::left_behind(std::uint64_t vm_id) {
    const auto text = read_file(settings_.file_of(vm_id, ".state"));
    if (!text) return std::nullopt;
    return Fields::parse(*text);
}

// ---- start, stop, end ---------------------------------------------------------------------------

sdk::VmStatus Containers::start(const sdk::Vm& vm, sdk::Call& call) {
    check_vm(vm, settings_);
    const auto lock = hold(vm.id());
    if (const auto running = ask(vm.id(), "state")) {
        sdk::VmStatus status = status_from(*running, true);
        if (status.incarnation != vm.incarnation() || status.uuid != vm.uuid())
            throw sdk::Failure(QVD_CONFLICT, "incarnation " + std::to_string(status.incarnation) +
                                                 " of this VM still runs");
        watch(vm.id());
        return status;
    }
    make_folders(settings_.run, 0711);
    const auto nics = vm.nics();
    const std::string device = nics.empty() ? std::string() : std::string(nics[0].host_device());
    claim_names(vm.id(), device);
    release(vm.id(), device);
    forget(vm.id());
    try {
        const UnpackedImage image = image_of(vm);
        make_home(vm);
        const Root root = store_.mount(vm, image, map_of(vm, image));
        furnish(vm, root);
        return launch(vm, root, call);
    } catch (...) {
        watcher_.forget(vm.id());
        try {
            release(vm.id(), device);
        } catch (const sdk::Failure& left) {
            core_.warning(left.what());  // why the start failed matters more to whoever waits
        }
        throw;
    }
}

void Containers::make_home(const sdk::Vm& vm) {
    const auto home = disk_of(vm, QVD_DISK_HOME);
    if (!home) return;
    const std::string obstacle = store_.make_home(std::string(home->path()), home->size_bytes());
    if (!obstacle.empty() && !told_of_homes_.exchange(true))
        core_.warning("the user_storage_size of VM " + std::to_string(vm.id()) +
                      " is no limit to its home: " + obstacle +
                      "; neither may others' be, which is not told again");
}

// Of the keeper just started, as soon as it listens.
KeeperSocket Containers::meet_keeper(const sdk::Vm& vm, const sdk::Process& keeper,
                                     sdk::Call& call) {
    const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, keeper.pid, 0)));
    const std::string path = settings_.file_of(vm.id(), ".sock");
    KeeperSocket socket = KeeperSocket::open(path);
    while (!socket) {
        if (!pidfd || ended(pidfd.get())) {
            const auto last = left_behind(vm.id());
            throw sdk::Failure(QVD_UNAVAILABLE,
                               last && last->get("state") == "ended"
                                   ? "the container did not begin: " + last->get("sentence")
                                   : "the container's keeper ended at once; the log of the node "
                                     "tells why");
        }
        if (call.remaining().count() <= 0)
            throw sdk::Failure(QVD_TIMEOUT, "the container's keeper did not answer in time");
        std::this_thread::sleep_for(look_again);
        socket = KeeperSocket::open(path);
    }
    return socket;
}

sdk::VmStatus Containers::launch(const sdk::Vm& vm, const Root& root, sdk::Call& call) {
    const std::string order = make_order(vm, settings_, root).text();
    sdk::ProcessOrder keeper;
    keeper.label = "vm-" + std::to_string(vm.id()) + "-" + std::to_string(vm.incarnation());
    keeper.arguments = {settings_.programs + "/qvd-lxc-keeper"};
    keeper.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    keeper.input = sdk::SecretView::of(order);
    const sdk::Process process = processes_.start(&call, keeper);
    KeeperSocket socket = meet_keeper(vm, process, call);
    auto said = socket.ask("watch", call.remaining());
    while (said && said->get("state") == "starting") said = socket.receive(call.remaining());
    // A container that ends at once may take its keeper with it before that has heard us.
    const auto last_words = said ? std::nullopt : left_behind(vm.id());
    if (last_words && last_words->get("state") == "ended") said = last_words;
    if (!said) {
        ask(vm.id(), "kill");
        throw sdk::Failure(QVD_TIMEOUT, "the container did not begin in time");
    }
    if (said->get("state") == "ended")
        throw sdk::Failure(QVD_UNAVAILABLE,
                           "the container did not begin: " + said->get("sentence"));
    watcher_.watch(vm.id(), socket.release());
    return status_from(*said, true);
}

void Containers::set_frozen(std::uint64_t vm_id, bool frozen) {
    const auto lock = hold(vm_id);
    if (!ask(vm_id, "state"))
        throw sdk::Failure(QVD_NOT_FOUND, "VM " + std::to_string(vm_id) + " does not run here");
    const std::string payload = payload_cgroup(settings_.container_of(vm_id));
    if (!freeze_cgroup(payload, frozen))
        throw sdk::Failure(QVD_UNAVAILABLE, std::string("cannot ") +
                                                (frozen ? "freeze " : "thaw ") + payload + ": " +
                                                std::strerror(errno));
}

void Containers::pause(std::uint64_t vm_id) {
    set_frozen(vm_id, true);
}

void Containers::unpause(std::uint64_t vm_id) {
    set_frozen(vm_id, false);
}

// What is frozen hears no signal, not even that to die.
void Containers::thaw(std::uint64_t vm_id) {
    const std::string payload = payload_cgroup(settings_.container_of(vm_id));
    if (is_frozen(payload)) freeze_cgroup(payload, false);
}

sdk::VmStatus Containers::status_now(std::uint64_t vm_id, const Fields& said) {
    sdk::VmStatus status = status_from(said, true);
    if (status.state == QVD_VM_RUNNING && is_frozen(payload_cgroup(settings_.container_of(vm_id))))
        status.state = QVD_VM_PAUSED;
    return status;
}

void Containers::stop(std::uint64_t vm_id) {
    thaw(vm_id);
    const auto answer = ask(vm_id, "stop");
    if (answer && answer->get("answer") != "ok") ask(vm_id, "kill");  // it has no init to ask yet
}

void Containers::fail(std::uint64_t vm_id, const std::string& sentence) {
    thaw(vm_id);
    ask(vm_id, "fail " + sentence);
}

void Containers::destroy(const sdk::Vm& vm, sdk::Call& call) {
    const auto lock = hold(vm.id());
    watcher_.forget(vm.id());
    thaw(vm.id());
    KeeperSocket keeper = KeeperSocket::open(settings_.file_of(vm.id(), ".sock"));
    if (keeper && keeper.ask("watch", answer_patience)) {
        auto said = keeper.ask("kill", call.remaining());
        while (said && said->get("state") != "ended") said = keeper.receive(call.remaining());
        if (!said && ask(vm.id(), "state")) {
            watch(vm.id());
            throw sdk::Failure(QVD_TIMEOUT, "the container does not end, though it was killed");
        }
    }
    const auto nics = vm.nics();
    release(vm.id(), nics.empty() ? std::string() : std::string(nics[0].host_device()));
    forget_quiet_end(vm.id());
    ::unlink(settings_.file_of(vm.id(), ".state").c_str());
}

// Its console tells how a container came to a bad end: that is kept until the next start.
void Containers::forget_quiet_end(std::uint64_t vm_id) {
    const auto state = left_behind(vm_id);
    if (!state || is_quiet(state->get("reason"))) forget(vm_id);
}

void Containers::on_end(std::uint64_t vm_id, const Fields& /*last*/) {
    const auto lock = hold(vm_id);
    if (ask(vm_id, "state")) return;  // the next incarnation: destroy() and start() were faster
    const auto state = left_behind(vm_id);
    if (!state) return;  // destroyed meanwhile
    sdk::VmStatus status = status_from(*state, false);
    try {
        release(vm_id, std::string());
        forget_quiet_end(vm_id);
    } catch (const sdk::Failure& left) {
        core_.warning("VM " + std::to_string(vm_id) + ": " + left.what());
    }
    events_.report(status);
}

void Containers::watch(std::uint64_t vm_id) {
    if (watcher_.watches(vm_id)) return;
    KeeperSocket keeper = KeeperSocket::open(settings_.file_of(vm_id, ".sock"));
    if (keeper && keeper.ask("watch", answer_patience)) watcher_.watch(vm_id, keeper.release());
}

// ---- questions ----------------------------------------------------------------------------------

std::vector<sdk::VmStatus> Containers::survey() {
    std::vector<sdk::VmStatus> found;
    for (const std::uint64_t vm_id : with_files()) {
        const auto lock = hold(vm_id);
        const auto running = ask(vm_id, "state");
        if (running) watch(vm_id);
        const auto said = running ? running : left_behind(vm_id);
        if (!said) continue;
        const sdk::VmStatus status = running ? status_now(vm_id, *said) : status_from(*said, false);
        if (status.state != QVD_VM_STOPPED) found.push_back(status);
    }
    return found;
}

sdk::VmStatus Containers::state(std::uint64_t vm_id) {
    if (const auto running = ask(vm_id, "state")) return status_now(vm_id, *running);
    if (const auto state = left_behind(vm_id)) return status_from(*state, false);
    sdk::VmStatus nothing;
    nothing.vm_id = vm_id;
    nothing.state = QVD_VM_STOPPED;
    return nothing;
}

std::vector<sdk::Endpoint> Containers::console(std::uint64_t vm_id) {
    const auto answer = ask(vm_id, "console");
    if (!answer) return {};
    sdk::Endpoint endpoint;
    endpoint.address = answer->get("socket");
    return {endpoint};
}

sdk::Usage Containers::usage(std::uint64_t vm_id) {
    const auto answer = ask(vm_id, "usage");
    if (!answer)
        throw sdk::Failure(QVD_NOT_FOUND, "VM " + std::to_string(vm_id) + " does not run here");
    sdk::Usage usage;
    usage.cpu_seconds = std::strtod(answer->get("cpu_seconds").c_str(), nullptr);
    usage.memory_bytes = static_cast<std::uint64_t>(answer->number("memory_bytes"));
    usage.disk_bytes = store_.changed_bytes(vm_id);
    return usage;
}

}  // namespace qvd::lxc
