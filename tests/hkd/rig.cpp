#include "config/keys.hpp"
#include "hkd/keys.hpp"
#include "hkd/spawn.hpp"
#include "plugin/keys.hpp"
#include "tests/hkd/world.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace qvd::hkd::test {

namespace asio = boost::asio;

// ---- the rig -------------------------------------------------------------------------------

namespace {

// Removed when the tests end.
struct RunFolder {
    std::string path = "/tmp/qvd-hkd-test-" + std::to_string(::getpid());
    ~RunFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    RunFolder() { std::filesystem::create_directories(path + "/log"); }
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
    file.set("path.log", run_folder() + "/log", "test.conf");
    return {keys, std::move(file)};
}

struct Rig::Life {
    Life(World& world, store::Store& store, NodeId node, const Limits& limits)
        : schedule(world, loop),
          backend(world, schedule),
          agents(world, schedule),
          workshop(loop.get_executor(), store, backend, agents, schedule, limits),
          vms(workshop, node, test_view()) {
        workshop.logs = KeptLogs(kept_logs_folder(test_view()));
        workshop.neighbour = [&world](const std::string&) { return world.neighbour; };
    }

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

Rig::Rig(int vms, Limits limits) : limits_(std::move(limits)) {
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

asio::awaitable<void> Rig::ask_the_silent(Life* life) {
    while (!life->vms.silence().empty()) {
        co_await life->schedule.sleep(Milliseconds{1000});
        (void)co_await life->vms.adopt_silent(false);
    }
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
        spawn(me->loop.get_executor(), ask_the_silent(me), 0);
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

void Rig::expire() {
    spawn(life_->loop.get_executor(), life_->vms.expire(), 0);
}

void Rig::report_usage() {
    spawn(life_->loop.get_executor(), life_->vms.report_usage(), 0);
}

void Rig::compare() {
    spawn(life_->loop.get_executor(), life_->vms.compare(), 0);
}

}  // namespace qvd::hkd::test
