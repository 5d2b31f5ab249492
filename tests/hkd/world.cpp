#include "tests/hkd/world.hpp"

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
    return !process.mute && process.temper.agent_after &&
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

struct FakeBackend::Call {
    Call(FakeBackend& its_backend, std::string its_uuid, const char* name)
        : backend(its_backend), uuid(std::move(its_uuid)) {
        if (!backend.busy_.insert(uuid).second)
            backend.world_.violations.push_back(std::string(name) +
                                                " while another call for the VM is under way");
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { backend.busy_.erase(uuid); }
    FakeBackend& backend;
    std::string uuid;
};

Backend::Token FakeBackend::listen(std::function<void(const FoundVm&)> hear) {
    world_.hear = std::move(hear);
    return {&world_, [](World* world) { world->hear = nullptr; }};
}

Async<void> FakeBackend::collect(std::vector<std::string> keep_uuids) {
    std::erase_if(world_.left_overs, [&](const std::string& uuid) {
        return std::ranges::count(keep_uuids, uuid) == 0 && !world_.processes.contains(uuid);
    });
    co_return Result<void>{};
}

Async<std::vector<FoundVm>> FakeBackend::survey() {
    co_await schedule_.sleep(Milliseconds{3});
    std::vector<FoundVm> all;
    for (const auto& [uuid, process] : world_.processes) {
        FoundVm found;
        found.uuid = uuid;
        found.vm = process.vm;
        found.incarnation = process.incarnation;
        found.state = plugin::BackendState::running;
        found.pid = 4711;
        all.push_back(std::move(found));
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

Async<void> FakeBackend::start(VmPlan vm, Deadline deadline) {
    const Call call(*this, vm.uuid, "start");
    const Temper temper = world_.temper;
    world_.left_overs.insert(vm.uuid);
    // Half of the time passes before there is a process, half after: hkd may die in both.
    co_await schedule_.sleep(std::min(temper.launch / 2, deadline.remaining()));
    if (!temper.launches || deadline.passed())
        co_return Error{ErrorKind::unavailable, "fake.launch", "the kernel said no"};
    if (world_.processes.contains(vm.uuid)) world_.violations.push_back("two processes of one VM");
    world_.processes[vm.uuid] = {vm.uuid, vm.vm, vm.incarnation, temper, world_.clock.now(), false};
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
        if (found->second.temper.destroys_that_fail-- > 0)
            co_return Error{ErrorKind::unavailable, "fake.busy", "a mount is busy"};
        world_.processes.erase(found);
    }
    world_.left_overs.erase(vm.uuid);
    co_return Result<void>{};
}

Async<FoundVm> FakeBackend::state(VmPlan vm, Deadline deadline) {
    (void)deadline;
    FoundVm found;
    found.uuid = vm.uuid;
    found.state = world_.processes.contains(vm.uuid) ? plugin::BackendState::running
                                                     : plugin::BackendState::stopped;
    co_return found;
}

Async<plugin::VmUsageStatus> FakeBackend::usage(VmPlan vm, Deadline deadline) {
    (void)deadline;
    if (!world_.processes.contains(vm.uuid))
        co_return Error{ErrorKind::not_found, "fake.none", "it does not run"};
    co_return plugin::VmUsageStatus{1.5, 64U << 20U, 0};
}

Async<std::vector<plugin::ConsoleEndpoint>> FakeBackend::console(VmPlan vm, Deadline deadline) {
    (void)vm;
    (void)deadline;
    co_return std::vector<plugin::ConsoleEndpoint>{};
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
    if (method != "poweroff") co_return std::string("1");
    if (!found->second.temper.accepts_poweroff)
        co_return Error{ErrorKind::conflict, "agent.refused", "a hook said no"};
    world_.shut_down(found->second);
    co_return std::string("null");
}

// ---- the rig -------------------------------------------------------------------------------

namespace {

// Removed when the tests end.
struct RunFolder {
    std::string path = "/tmp/qvd-hkd-test-" + std::to_string(::getpid());
    ~RunFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    RunFolder() { std::filesystem::create_directories(path); }
    RunFolder(const RunFolder&) = delete;
    RunFolder& operator=(const RunFolder&) = delete;
};

}  // namespace

const std::string& run_folder() {
    static const RunFolder folder;
    return folder.path;
}

config::View test_view() {
    auto keys = std::make_shared<config::KeySet>();
    config::declare(*keys);
    plugin::declare(*keys);
    hkd::declare(*keys);
    config::Properties file = config::Properties::parse(R"(
nodename = alpha
vm.hypervisor = lxc
vm.network.ip.start = 10.3.15.50
vm.network.netmask = 24
vm.network.gateway = 10.3.15.1
)",
                                                        "test.conf")
                                  .value();
    file.set("path.run", run_folder(), "test.conf");
    return {keys, std::move(file)};
}

struct Rig::Life {
    Life(World& world, store::Store& store, NodeId node, const Limits& limits)
        : schedule(world, loop),
          backend(world, schedule),
          agents(world, schedule),
          workshop(loop.get_executor(), store, backend, agents, schedule, limits),
          vms(workshop, node, test_view()) {}

    // What coroutines use on their way out (schedule, backend) must outlive the loop that destroys
    // them, and what waits on the loop must go before it.
    FakeSchedule schedule;
    FakeBackend backend;
    FakeAgents agents;
    asio::io_context loop;
    asio::executor_work_guard<asio::io_context::executor_type> work{loop.get_executor()};
    Workshop workshop;
    Vms vms;
    store::Store::Token listening;
    bool adopted = false;
};

Rig::Rig(int vms, Limits limits) : limits_(limits) {
    store_ = std::make_unique<store::MemoryStore>(loop_.get_executor(), [this] {
        return Timestamp(
            std::chrono::duration_cast<Timestamp::duration>(world.clock.now().time_since_epoch()));
    });
    node_ = must(store_->add_node("alpha", "10.3.15.1"));
    const auto epoch = must(store_->claim_node(node_, "boot-1"));
    NodeLoad load;
    load.memory_total_mib = 1e6;
    (void)ask(store_->heartbeat(node_, epoch, load));
    (void)ask(store_->set_node_state(node_, epoch, NodeState::running, ""));
    const UserId user = must(store_->add_user("bob", std::nullopt));
    Osf osf;
    osf.name = "desktop";
    osf.user_storage_mib = 100;
    const OsfId osf_id = must(store_->add_osf(osf));
    must(store_->add_di({osf_id, "desktop.tar.gz", ""}));
    for (int count = 0; count < vms; ++count) {
        store::NewVm vm;
        vm.name = "vm" + std::to_string(count);
        vm.user = user;
        vm.osf = osf_id;
        vm.pool_first = "10.3.15.50";
        vm.pool_last = "10.3.15.254";
        vms_.push_back(must(store_->add_vm(vm)));
        uuids_[vms_.back()] = must(store_->vm(vms_.back()))->vm.uuid;
    }
}

Rig::~Rig() {
    crash();
}

template <class T>
T Rig::must(asio::awaitable<Result<T>> operation) {
    return ask(std::move(operation)).value();
}

void Rig::boot() {
    life_ = std::make_unique<Life>(world, *store_, node_, limits_);
    Life* const life = life_.get();
    life->listening = store_->listen([this, life](const store::Announcement&) {
        if (announcements_arrive) life->vms.look_for_orders();
    });
    const auto live = [](Life* me) -> asio::awaitable<void> {
        for (;;) {
            const auto adopted = co_await me->vms.adopt(false);
            if (adopted.ok()) break;
            co_await me->schedule.sleep(Milliseconds{1000});
        }
        me->adopted = true;
        co_await me->vms.follow_orders(Milliseconds{1000});
    };
    spawn(life->loop.get_executor(), live(life), 0);
    settle();
}

void Rig::crash() {
    if (!life_) return;
    // The database goes on: what was asked of it happens, but nobody hears the answers.
    loop_.poll();
    loop_.restart();
    life_.reset();
}

void Rig::settle() {
    std::size_t done = 1;
    while (done > 0) {
        done = loop_.poll();
        loop_.restart();
        if (life_) {
            done += life_->loop.poll();
            life_->loop.restart();
        }
    }
}

bool Rig::step(Clock::time_point limit) {
    settle();
    Clock::time_point next = Alarm::never;
    if (const auto event = world.next_event()) next = std::min(next, *event);
    if (life_)
        if (const auto alarm = life_->schedule.next()) next = std::min(next, *alarm);
    if (next > limit) return false;
    if (next > world.clock.now())
        world.clock.advance(std::chrono::ceil<Milliseconds>(next - world.clock.now()));
    world.run_events();
    if (life_) life_->schedule.ring_due();
    settle();
    return true;
}

void Rig::pass(Milliseconds time) {
    const auto limit = world.clock.now() + time;
    while (step(limit)) {
    }
    if (world.clock.now() < limit)
        world.clock.advance(std::chrono::ceil<Milliseconds>(limit - world.clock.now()));
}

bool Rig::pass_until(const std::function<bool()>& there) {
    const auto limit = world.clock.now() + std::chrono::hours(1);
    settle();
    while (!there())
        if (!step(limit)) return false;
    return true;
}

void Rig::order_start(VmId vm) {
    (void)ask(store_->order_start(vm, node_));
}

void Rig::order_stop(VmId vm) {
    (void)ask(store_->order_stop(vm));
}

VmRuntime Rig::row(VmId vm) {
    return must(store_->vm(vm))->runtime;
}

std::string Rig::stage(VmId vm) {
    const VmRuntime runtime = row(vm);
    return to_string(runtime.state, runtime.phase);
}

Vms& Rig::here() {
    return life_->vms;
}

void Rig::evacuate() {
    spawn(life_->loop.get_executor(),
          life_->vms.evacuate(Milliseconds{300'000}, Milliseconds{100'000}), 0);
}

void Rig::compare() {
    spawn(life_->loop.get_executor(), life_->vms.compare(), 0);
}

}  // namespace qvd::hkd::test
