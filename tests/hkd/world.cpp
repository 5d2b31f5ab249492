#include "tests/hkd/world.hpp"

#include "base/file.hpp"
#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "hkd/spawn.hpp"
#include "plugin/keys.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace qvd::hkd::test {

namespace asio = boost::asio;

// ---- the world -----------------------------------------------------------------------------

void World::at(Clock::time_point when, std::function<void()> happen) {
    events_.emplace(when, std::move(happen));
}

void World::end(const std::string& uuid, plugin::BackendState how, const std::string& sentence) {
    const auto found = processes.find(uuid);
    if (found == processes.end()) return;
    FoundVm end;
    end.vm = found->second.vm;
    end.uuid = uuid;
    end.incarnation = found->second.incarnation;
    end.state = how;
    end.sentence = sentence;
    processes.erase(found);
    if (hear) hear(end);
}

void World::mount_home(const VmPlan& vm) {
    for (const plugin::DiskSpec& disk : vm.disks) {
        if (disk.role != plugin::DiskRole::home) continue;
        const auto [home, first] = homes.emplace(disk.path, vm.uuid);
        if (!first) violations.push_back("the home " + home->first + " is mounted twice");
    }
}

void World::unmount_homes(const std::string& uuid) {
    std::erase_if(homes, [&uuid](const auto& home) { return home.second == uuid; });
}

void World::end_later(const Process& process, Milliseconds time, plugin::BackendState how,
                      const std::string& sentence) {
    at(clock.now() + time,
       [this, uuid = process.uuid, incarnation = process.incarnation, how, sentence] {
           const auto found = processes.find(uuid);
           if (found != processes.end() && found->second.incarnation == incarnation)
               end(uuid, how, sentence);
       });
}

void World::shut_down(const Process& process) {
    end_later(process, process.temper.to_shut_down, plugin::BackendState::stopped, "");
}

bool World::agent_answers(const Process& process) const {
    return !process.mute && !process.paused && process.temper.agent_after &&
           clock.now() >= process.started + *process.temper.agent_after;
}

std::optional<Clock::time_point> World::next_event() const {
    if (events_.empty()) return std::nullopt;
    return events_.begin()->first;
}

void World::run_events() {
    while (!events_.empty() && events_.begin()->first <= clock.now()) {
        const auto happen = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        happen();
    }
}

// ---- time ----------------------------------------------------------------------------------

class FakeSchedule::FakeAlarm final : public Alarm {
public:
    FakeAlarm(FakeSchedule& schedule, asio::io_context& loop)
        : schedule_(schedule), timer_(loop, Alarm::never) {
        schedule_.alarms_.push_back(this);
    }
    FakeAlarm(const FakeAlarm&) = delete;
    FakeAlarm& operator=(const FakeAlarm&) = delete;
    ~FakeAlarm() override { schedule_.alarms_.remove(this); }

    asio::awaitable<void> wait_until(Clock::time_point at) override {
        due_ = at;
        if (due_ > schedule_.clock().now()) {
            timer_.expires_at(Alarm::never);
            (void)co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        due_ = Alarm::never;
    }
    void ring() override { timer_.cancel(); }
    [[nodiscard]] Clock::time_point due() const { return due_; }

private:
    FakeSchedule& schedule_;
    asio::steady_timer timer_;
    Clock::time_point due_ = Alarm::never;
};

std::unique_ptr<Alarm> FakeSchedule::alarm() {
    return std::make_unique<FakeAlarm>(*this, loop_);
}

std::optional<Clock::time_point> FakeSchedule::next() const {
    Clock::time_point first = Alarm::never;
    for (const FakeAlarm* alarm : alarms_) first = std::min(first, alarm->due());
    if (first == Alarm::never) return std::nullopt;
    return first;
}

void FakeSchedule::ring_due() {
    for (FakeAlarm* alarm : alarms_)
        if (alarm->due() <= clock().now()) alarm->ring();
}

// ---- the hypervisor ------------------------------------------------------------------------

Backend::Token FakeBackend::listen(std::function<void(const FoundVm&)> hear) {
    world_.hear = std::move(hear);
    return {&world_, [](World* world) { world->hear = nullptr; }};
}

Result<void> FakeBackend::know(const std::string& hypervisor) {
    known_.insert(hypervisor);
    return {};
}

Async<void> FakeBackend::collect(std::vector<std::string> keep_uuids) {
    std::erase_if(world_.left_overs, [&](const std::string& uuid) {
        const bool needed =
            std::ranges::count(keep_uuids, uuid) > 0 || world_.processes.contains(uuid);
        if (!needed) world_.unmount_homes(uuid);
        return !needed;
    });
    co_return Result<void>{};
}

Async<Survey> FakeBackend::survey() {
    co_await schedule_.sleep(world_.survey_takes);
    Survey all;
    for (const std::string& name : world_.silent)
        all.silent.emplace(name, Error{ErrorKind::unavailable, "fake.silent", "it is away"});
    for (const auto& [uuid, process] : world_.processes) {
        if (!known_.contains(process.hypervisor) || world_.silent.contains(process.hypervisor))
            continue;
        FoundVm found;
        found.hypervisor = process.hypervisor;
        found.uuid = uuid;
        found.vm = process.vm;
        found.incarnation = process.incarnation;
        found.state = process.paused ? plugin::BackendState::paused : plugin::BackendState::running;
        found.sentence = process.why_paused;
        found.exit_code = process.errno_of_pause;
        found.pid = 4711;
        all.found.push_back(std::move(found));
    }
    co_return all;
}

Async<void> FakeBackend::prepare_image(ImagePlan image, Deadline deadline, Progress progress) {
    ++world_.image_calls;
    (void)image;
    progress("unpacking the image: 10 %");
    const Milliseconds time = world_.temper.image;
    co_await schedule_.sleep(std::min(time, deadline.remaining()));
    if (deadline.passed())
        co_return Error{ErrorKind::timeout, "image.slow", "the image is too big"};
    co_return Result<void>{};
}

// How many are in start() at once.
class Counted {
public:
    explicit Counted(World& world) : world_(world) {
        world_.most_starting = std::max(world_.most_starting, ++world_.starting);
    }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --world_.starting; }

private:
    World& world_;
};

Async<void> FakeBackend::start(VmPlan vm, Deadline deadline) {
    const Call call(*this, vm.uuid, "start");
    const Temper temper = world_.temper;
    const Counted counted(world_);
    if (world_.saved.contains(vm.uuid))
        world_.violations.emplace_back("a suspended VM was started");
    world_.left_overs.insert(vm.uuid);
    world_.mount_home(vm);
    // Half of the time passes before there is a process, half after: hkd may die in both.
    co_await schedule_.sleep(std::min(temper.launch / 2, deadline.remaining()));
    if (!temper.launches || deadline.passed())
        co_return Error{ErrorKind::unavailable, "fake.launch", "the kernel said no"};
    if (world_.processes.contains(vm.uuid))
        world_.violations.emplace_back("two processes of one VM");
    (void)know(vm.hypervisor);
    Process& process = world_.processes[vm.uuid];
    process = {vm.hypervisor, vm.uuid, vm.vm, vm.incarnation, temper, world_.clock.now()};
    process.token = std::string(vm.agent_token.reveal());
    World* const world = &world_;
    if (temper.dies_after)
        world_.end_later(world_.processes[vm.uuid], *temper.dies_after,
                         plugin::BackendState::crashed, "the guest panicked");
    const auto booting = std::ranges::count_if(
        world_.processes, [world](const auto& one) { return !world->agent_answers(one.second); });
    world_.most_booting = std::max(world_.most_booting, static_cast<int>(booting));
    co_await schedule_.sleep(temper.launch / 2);
    co_return Result<void>{};
}

Async<void> FakeBackend::stop(VmPlan vm, Deadline deadline) {
    (void)deadline;
    const Call call(*this, vm.uuid, "stop");
    co_await schedule_.sleep(Milliseconds{2});
    const auto found = world_.processes.find(vm.uuid);
    if (found == world_.processes.end() || !found->second.temper.heeds_stop)
        co_return Result<void>{};
    world_.shut_down(found->second);
    co_return Result<void>{};
}

Async<void> FakeBackend::destroy(VmPlan vm, Deadline deadline) {
    (void)deadline;
    const Call call(*this, vm.uuid, "destroy");
    co_await schedule_.sleep(Milliseconds{4});
    const auto found = world_.processes.find(vm.uuid);
    if (found != world_.processes.end()) {
        if (found->second.hypervisor != vm.hypervisor)
            world_.violations.push_back("destroyed by " + vm.hypervisor);
        if (found->second.temper.destroys_that_fail-- > 0)
            co_return Error{ErrorKind::unavailable, "fake.busy", "a mount is busy"};
        world_.processes.erase(found);
    }
    world_.saved.erase(vm.uuid);
    world_.away.erase(vm.uuid);
    world_.left_overs.erase(vm.uuid);
    world_.unmount_homes(vm.uuid);
    co_return Result<void>{};
}

Async<plugin::VmUsageStatus> FakeBackend::usage(VmPlan vm, Deadline deadline) {
    if (world_.hanging.contains(vm.hypervisor)) {
        co_await schedule_.sleep(deadline.remaining());
        co_return Error{ErrorKind::timeout, "fake.hangs", "no answer"};
    }
    co_await schedule_.sleep(world_.usage_takes);
    if (!world_.processes.contains(vm.uuid))
        co_return Error{ErrorKind::not_found, "fake.none", "it does not run"};
    co_return plugin::VmUsageStatus{1.5, 64U << 20U, 0};
}

Async<std::vector<plugin::ConsoleEndpoint>> FakeBackend::console(VmPlan vm, Deadline deadline) {
    (void)vm;
    (void)deadline;
    co_return world_.endpoints;
}

Async<plugin::NodeCapacity> FakeBackend::capacity(Deadline deadline) {
    if (!world_.capacity)
        co_return Error{ErrorKind::unsupported, "backend.unsupported", "the core may measure"};
    co_await schedule_.sleep(std::min(world_.capacity_takes, deadline.remaining()));
    if (deadline.passed()) co_return Error{ErrorKind::timeout, "fake.timeout", "it took too long"};
    co_return *world_.capacity;
}

// ---- the agents ----------------------------------------------------------------------------

asio::awaitable<Result<std::string>> FakeAgents::call(VmId vm, std::int64_t incarnation,
                                                      std::string method,
                                                      AgentParameters parameters,
                                                      Milliseconds timeout) {
    (void)parameters;
    co_await schedule_.sleep(Milliseconds{1});
    if (world_.broker_down)
        co_return Error{ErrorKind::unavailable, "agent.no_broker", "there is no broker"};
    const auto found = std::ranges::find_if(world_.processes, [&](const auto& one) {
        return one.second.vm == vm && one.second.incarnation == incarnation;
    });
    if (found == world_.processes.end())
        co_return Error{ErrorKind::unavailable, "agent.unreachable", "connection refused"};
    if (found->second.mute) {
        co_await schedule_.sleep(timeout);
        co_return Error{ErrorKind::timeout, "agent.timeout", "no answer"};
    }
    if (!world_.agent_answers(found->second))
        co_return Error{ErrorKind::unavailable, "agent.unreachable", "connection refused"};
    if (method == "expire") ++world_.expiries_told;
    if (method != "poweroff") co_return std::string("1");
    if (!found->second.temper.accepts_poweroff)
        co_return Error{ErrorKind::conflict, "agent.refused", "a hook said no"};
    world_.shut_down(found->second);
    co_return std::string("null");
}

}  // namespace qvd::hkd::test
